import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { parse } from './conversations.ts';
import type { Deed, Faults } from './faults.ts';
import type { Peers } from './wire.ts';

const BOMB_MS = 500;
const POUR_MS = 20;
const BOMB_START = '{"type":"event","event":"x","payload":';
const offsetParam = z.looseObject({ offset: z.number() });

/** What a gateway does by itself whose agents have taken it over. */
export function startHostilities(faults: Faults, peers: Peers): void {
  setInterval(() => {
    const bomb = faults.find('bomb');
    if (bomb) peers.emitText(bombOf(bomb));
    if (faults.find('hang-up') && faults.take('hang-up')) peers.close(1012, 'service restart');
  }, BOMB_MS);
  let pouredAt = performance.now();
  setInterval(() => {
    const elapsedMs = Math.min(performance.now() - pouredAt, 1_000);
    pouredAt = performance.now();
    const pour = faults.find('pour');
    const due = ((pour?.perSecond ?? 0) * elapsedMs) / 1_000;
    for (let sent = 0; sent < due; sent += 1) peers.emitText(somethingNew(sent));
  }, POUR_MS);
}

const bombs = new Map<string, Buffer>();

/** Its text is made once, because that takes longer than to send it. */
function bombOf({ of, bytes }: Extract<Deed, { kind: 'bomb' }>): Buffer {
  const name = `${bytes} of ${of}`;
  const payload = () => (of === 'text' ? `"${'x'.repeat(bytes)}"` : `[${'[],'.repeat(bytes / 3)}0]`);
  const bomb = bombs.get(name) ?? Buffer.from(`${BOMB_START}${payload()}}`);
  bombs.set(name, bomb);
  return bomb;
}

let told = 0;

function somethingNew(number: number): string {
  const id = `${process.pid}-${(told += 1)}`;
  if (number % 2 === 0)
    return `{"type":"event","event":"chat","payload":{"runId":"msg_${id}","sessionKey":"agent:alpha:conv:conv_${id}","state":"final","message":{"role":"assistant","content":"x"}}}`;
  return `{"type":"event","event":"cron","payload":{"action":"updated","jobId":"${id}","job":{"id":"${id}","agentId":"alpha","name":"${id}"}}}`;
}

/** What a list answers that is ordered to have no end; null where none is. */
export function hostilePages(faults: Faults, method: string): ((params: object) => object) | null {
  const ordered = faults.find('pages');
  if (ordered?.method !== method) return null;
  return (raw) => {
    const { offset } = parse(offsetParam, raw, method);
    const nextOffset = ordered.how === 'endless' ? offset + 1 : offset;
    const sessions = [{ key: 'agent:alpha:conv:none', updatedAt: Date.now() }];
    const entries = [{ jobId: randomUUID(), status: 'skipped', runAtMs: Date.now(), ts: Date.now() }];
    return { jobs: [], entries, sessions, hasMore: true, nextOffset };
  };
}

/** Answers in place of /readyz where that is ordered. */
export function answerHostile(faults: Faults, response: ServerResponse): boolean {
  const redirect = faults.find('redirect');
  if (redirect) response.writeHead(302, { location: redirect.to }).end();
  else if (faults.find('endless-body')) pourBody(response);
  else return false;
  return true;
}

function pourBody(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write('x'.repeat(65_536)));
  };
  response.on('drain', more);
  more();
}
