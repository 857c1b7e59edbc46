import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ErrorCode } from '../../domain/errors.ts';
import { createLog } from '../../lib/log.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { createGatewayConnections } from '../../turns/gateway-connections.ts';
import type { Answer, ApiClient, Json } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';

/** Far over the 2,000 characters that a gateway tells of a run by itself. */
export const LONG = `${'All is well. '.repeat(300)}The end.`;

/** As far as a turn may come, over two deaths of its gateway, on a busy machine. */
const TURN_MS = 300_000;
const AGAIN_MS = 200;
/** What passes by itself: a part of the stack is away, or another call has the key. */
const PASSES: ErrorCode[] = ['instance_not_ready', 'internal_error', 'timeout', 'conflict', 'rate_limited', 'unavailable'];

/** How a turn ended, as its caller was told. */
export interface Told {
  messageId: string;
  /** Null where it failed. */
  content: string | null;
}

/** A customer of one agent who lets things happen, whatever is away, and notes what was told. */
export class EventStream {
  /** Of every turn that was accepted. */
  readonly told: Told[] = [];
  readonly #account: ApiClient;
  readonly #agentPath: string;
  readonly #instancePath: string;
  readonly #turnsOf = new Map<string, number>();
  #messages = 0;
  #isHushed = false;

  constructor(account: ApiClient, { instanceId, agentId }: { instanceId: string; agentId: string }) {
    this.#account = account;
    this.#instancePath = `/instances/${instanceId}`;
    this.#agentPath = `${this.#instancePath}/agents/${agentId}`;
  }

  /** Says one thing after the other in this conversation, until it is hushed. */
  async talk(conversation: string): Promise<void> {
    while (!this.#isHushed) {
      await this.#say(conversation);
      this.#turnsOf.set(conversation, (this.#turnsOf.get(conversation) ?? 0) + 1);
    }
  }

  hush(): void {
    this.#isHushed = true;
  }

  /** Resolves when so many more turns of this conversation have ended. */
  async hasGoneOn(conversation: string, turns: number): Promise<void> {
    const wanted = (this.#turnsOf.get(conversation) ?? 0) + turns;
    await eventually(() => {
      const ended = this.#turnsOf.get(conversation) ?? 0;
      if (ended < wanted) throw new Error(`${ended} of ${wanted} turns of conversation ${conversation} have ended`);
    }, turns * TURN_MS);
  }

  /** Says something in this conversation and waits for its end. Every fifth is an error, in a conversation of its own. */
  async #say(conversation: string): Promise<void> {
    const number = (this.#messages += 1);
    const isError = number % 5 === 0;
    const text = `Answer number ${number} takes a moment`;
    const { status, body } = await this.#insist('POST', `${this.#agentPath}/messages`, `message-${number}`, {
      message: isError ? `${number} [[FAIL 400]]` : `${number} [[SAY ${text}]] [[DELAY 100]]`,
      sessionId: isError ? `error-${number}` : conversation,
    });
    if (status === 200 && body.content !== text) throw new Error(`message ${number} was answered with: ${body.content}`);
    const messageId = status === 200 ? body.messageId : body.error.messageId;
    if (messageId === undefined) throw new Error(`message ${number} was answered ${status}: ${JSON.stringify(body)}`);
    this.told.push({ messageId, content: status === 200 ? text : null });
  }

  async schedule(name: string, schedule: object, message: string): Promise<void> {
    const { status, body } = await this.#insist('POST', `${this.#agentPath}/crons`, name, { name, schedule, message });
    // Its one moment may be over by the time that somebody listens.
    const isLate = status === 400 && 'at' in schedule;
    if (status !== 201 && !isLate) throw new Error(`${name} was not scheduled: ${JSON.stringify(body)}`);
  }

  async endSchedules(): Promise<void> {
    const { body } = await this.#insist('GET', `${this.#agentPath}/crons`, '');
    for (const { cronId } of body.crons)
      await this.#insist('PATCH', `${this.#agentPath}/crons/${cronId}`, `end-${cronId}`, { enabled: false });
  }

  /** Everything that became an event of the account, in order, as a consumer reads it who must miss nothing. */
  async events(): Promise<Json[]> {
    const events: Json[] = [];
    for (;;) {
      const page = await this.#account.ok('GET', `/events?after=${events.at(-1)?.seq ?? 0}&limit=200`);
      if (page.events.length === 0) return events;
      events.push(...page.events);
    }
  }

  /** Calls until an answer comes that stands, with one key, so that it is done once. */
  async #insist(method: string, path: string, key: string, body?: object): Promise<Answer> {
    const giveUp = AbortSignal.timeout(TURN_MS);
    const options = { signal: giveUp, headers: key === '' ? {} : { 'idempotency-key': key } };
    for (let last = ''; ; await sleep(AGAIN_MS)) {
      if (giveUp.aborted) throw new Error(`${method} ${path} did not get through: ${last}`);
      const answer = await this.#account.call(method, path, body, options).catch((error: unknown) => {
        last = String(error);
        return null;
      });
      if (answer && !PASSES.includes(answer.body.error?.code)) return answer;
      if (answer) last = JSON.stringify(answer.body);
      if (answer?.body.error?.code === 'instance_not_ready') await this.#startAgain();
    }
  }

  /** Five deaths within ten minutes are too many for an instance to come back by itself. */
  async #startAgain(): Promise<void> {
    const answer = await this.#account.call('GET', this.#instancePath).catch(() => null);
    if (answer?.body.status === 'error') await this.#account.call('POST', `${this.#instancePath}/start`).catch(() => undefined);
  }
}

const jobs = z.object({
  jobs: z.array(z.object({ name: z.string(), state: z.object({ runningAtMs: z.number().optional() }).optional() })),
});
const runs = z.object({ entries: z.array(z.object({ jobName: z.string().optional(), status: z.string() })), total: z.number() });

/** The names of the jobs of all runs of the one gateway in this folder, by its own account, once none is under way. */
export async function runsOfGateway({ dataDir, driver }: { dataDir: string; driver: RuntimeDriver }): Promise<string[]> {
  const [id = '', key = ''] = (await readFile(join(dataDir, 'master-keys'), 'utf8')).trim().split(':');
  const masterKeys = [{ id, key: Buffer.from(key, 'base64') }];
  const connections = createGatewayConnections({ driver, masterKeys, log: createLog('test', 'silent') });
  try {
    const [runtime] = await driver.list();
    if (!runtime) throw new Error('there is no gateway');
    const client = await connections.get(runtime.runtimeId, AbortSignal.timeout(10_000));
    return await eventually(async () => {
      const listed = jobs.parse(await client.request('cron.list', { includeDisabled: true }));
      const busy = listed.jobs.find(({ state }) => state?.runningAtMs !== undefined);
      if (busy) throw new Error(`a run of ${busy.name} is under way`);
      return await readRuns((params) => client.request('cron.runs', params));
    });
  } finally {
    connections.closeAll();
  }
}

async function readRuns(request: (params: object) => Promise<unknown>): Promise<string[]> {
  const names: string[] = [];
  for (let offset = 0; ; offset += 200) {
    const page = runs.parse(await request({ scope: 'all', limit: 200, offset, sortDir: 'desc' }));
    for (const { jobName, status } of page.entries) if (status !== 'skipped') names.push(jobName ?? '');
    if (page.entries.length < 200) return names;
  }
}
