import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import type { RawData, WebSocket } from 'ws';
import { Content, readConfig } from './content.ts';
import type { GatewayConfig } from './content.ts';
import { Conversations } from './conversations.ts';
import { Crons } from './crons.ts';
import { Faults } from './faults.ts';
import { answerHostile, hostilePages, startHostilities } from './hostilities.ts';
import { Runs } from './runs.ts';
import { Store } from './store.ts';
import { invalid, Peers, Refusal, refused, request } from './wire.ts';
import type { Answer } from './wire.ts';

/**
 * A program in the place of OpenClaw, with its environment, configuration and wire as far as ours uses them, which is
 * told what to do wrong (see faults.ts). It calls no model: the markers of the fake model decide what its agents say.
 */
const stateDir = variable('OPENCLAW_STATE_DIR');
const configFile = variable('OPENCLAW_CONFIG_PATH');
const TICK_MS = 30_000;
const EXIT_CONFIGURATION = 78;

const bootId = randomUUID();
const faults = new Faults(stateDir, bootId);
const firstConfig = readFirstConfig();
const config = () => (faults.find('ignore-config') ? firstConfig : readConfig(configFile));
const agents = () => Object.keys(config().agents.entries);
const store = new Store(stateDir);
const peers = new Peers();
const runs = new Runs(store, peers, faults);
const conversations = new Conversations({ store, runs, faults, agents });
const crons = new Crons({ store, runs, peers, agents });
const content = new Content({ store, stateDir, config });

const METHODS: Record<string, (params: object) => object> = {
  'chat.history': (params) => conversations.history(params),
  'chat.abort': (params) => conversations.abort(params),
  'sessions.list': (params) => conversations.list(params),
  'sessions.search': (params) => conversations.search(params),
  'sessions.patch': (params) => conversations.patch(params),
  'sessions.delete': (params) => conversations.delete(params),
  'sessions.reset': (params) => conversations.reset(params),
  'sessions.groups.put': () => ({ ok: true }),
  'sessions.groups.rename': () => ({ ok: true }),
  'cron.list': (params) => crons.list(params),
  'cron.add': (params) => crons.add(params),
  'cron.update': (params) => crons.update(params),
  'cron.remove': (params) => crons.remove(params),
  'cron.run': (params) => crons.run(params),
  'cron.runs': (params) => crons.runs(params),
  'secrets.store.list': () => content.listSecrets(),
  'secrets.store.set': (params) => content.setSecret(params),
  'secrets.store.delete': (params) => content.deleteSecret(params),
  'agents.list': () => content.agents(),
  'agents.files.get': (params) => content.getFile(params),
  'agents.files.set': (params) => content.setFile(params),
  'skills.status': (params) => content.skills(params),
};

const server = createServer((incoming, response) => {
  if (!faults.find('silent')) answerHttp(incoming, response);
});
const sockets = new WebSocketServer({ server, verifyClient: (_, answer) => answer(!runs.isDraining, 503) });
sockets.on('connection', (socket) => {
  if (faults.find('silent')) return;
  socket.on('error', () => {});
  socket.on('message', (data) => {
    if (!faults.find('silent')) onFrame(socket, data);
  });
  send(socket, { type: 'event', event: 'connect.challenge', payload: { nonce: randomUUID(), ts: Date.now() } });
});
setInterval(() => {
  if (!faults.find('silent')) peers.emit('tick', { ts: Date.now() });
}, TICK_MS);
startHostilities(faults, peers);
process.on('SIGTERM', () => void end());
print('starting');
setTimeout(listen, faults.take('start-late')?.afterMs ?? 0);

function listen(): void {
  const { port, bind } = firstConfig.gateway;
  server.listen(port, bind === 'lan' ? '0.0.0.0' : '127.0.0.1', () => print('gateway ready'));
}

/** Ends as OpenClaw does with a configuration that it cannot run with. */
function readFirstConfig(): GatewayConfig {
  try {
    return readConfig(configFile);
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    process.exit(EXIT_CONFIGURATION);
  }
}

/** A line of its console, in OpenClaw's style. */
function print(message: string): void {
  const line = { time: new Date().toISOString(), level: 'info', subsystem: 'gateway', message };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function answerHttp({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
  const unready = faults.find('unready');
  const failing = unready?.failing ?? (runs.isDraining ? ['gateway-draining'] : []);
  if (url === '/readyz' && answerHostile(faults, response)) return;
  if (url === '/healthz') return json(response, 200, { ok: true, status: 'live' });
  if (url === '/readyz') return json(response, failing.length === 0 ? 200 : 503, { ready: failing.length === 0, failing });
  const agentId = /^\/v1\/models\/openclaw%2F(.+)$/.exec(url)?.[1];
  if (agentId === undefined) return json(response, 404, { error: { message: 'Not Found' } });
  if (headers.authorization !== `Bearer ${firstConfig.gateway.auth.token}`) return json(response, 401, { error: {} });
  json(response, agents().includes(agentId) ? 200 : 404, {});
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function onFrame(socket: WebSocket, data: RawData): void {
  const { id, method, params } = request.parse(JSON.parse(Buffer.isBuffer(data) ? data.toString() : ''));
  const answer = (one: Answer): void => send(socket, { type: 'res', id, ...one });
  try {
    const ordered = faults.find('refuse-call');
    if (ordered?.method === method && faults.take('refuse-call')) throw new Refusal(ordered);
    if (method === 'connect') answer(connect(socket, params));
    else if (method === 'agent') answer(conversations.agent(params, answer));
    else {
      const call = hostilePages(faults, method) ?? METHODS[method];
      if (!call) throw invalid(`unknown method: ${method}`);
      answer({ ok: true, payload: call(params) });
    }
  } catch (error) {
    answer(refused(error));
  }
}

function connect(socket: WebSocket, params: Record<string, unknown>): Answer {
  const { auth } = params;
  const isKnown = JSON.stringify(auth) === JSON.stringify({ token: firstConfig.gateway.auth.token });
  if (!isKnown) throw invalid('unauthorized: gateway token mismatch');
  peers.add(socket);
  const policy = { maxPayload: 26_214_400, maxBufferedBytes: 52_428_800, tickIntervalMs: TICK_MS };
  return { ok: true, payload: { type: 'hello-ok', protocol: 4, server: { version: 'scripted', bootId }, policy } };
}

function send(socket: WebSocket, frame: object): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
}

/** What runs goes on to its end. */
async function end(): Promise<void> {
  await runs.drain();
  peers.emit('shutdown', { reason: 'gateway stopping' });
  peers.close(1012, 'service restart');
  setTimeout(() => process.exit(0), 50);
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}
