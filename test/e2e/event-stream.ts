import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import type { Answer, ApiClient, Json } from '../support/api-client.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { insist } from '../support/patient-client.ts';
import type { Call } from '../support/patient-client.ts';
import { connectRaw } from '../support/raw-gateway.ts';

/** Far over the 2,000 characters that a gateway tells of a run by itself. */
export const LONG = `${'All is well. '.repeat(300)}The end.`;

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
  readonly #turnsOf = new Map<string, number>();
  #messages = 0;
  #isHushed = false;

  constructor(account: ApiClient, { instanceId, agentId }: { instanceId: string; agentId: string }) {
    this.#account = account;
    this.#agentPath = `/instances/${instanceId}/agents/${agentId}`;
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
    }, turns * PATIENCE_MS);
  }

  /** Says something in this conversation and waits for its end. Every fifth is an error, in a conversation of its own. */
  async #say(conversation: string): Promise<void> {
    const number = (this.#messages += 1);
    const isError = number % 5 === 0;
    const text = `Answer number ${number} takes a moment`;
    const { status, body } = await this.#send({
      method: 'POST',
      path: 'messages',
      key: `message-${number}`,
      body: {
        message: isError ? `${number} [[FAIL 400]]` : `${number} [[SAY ${text}]] [[DELAY 100]]`,
        sessionId: isError ? `error-${number}` : conversation,
      },
    });
    if (status === 200 && body.content !== text) throw new Error(`message ${number} was answered with: ${body.content}`);
    const messageId = status === 200 ? body.messageId : body.error.messageId;
    if (messageId === undefined) throw new Error(`message ${number} was answered ${status}: ${JSON.stringify(body)}`);
    this.told.push({ messageId, content: status === 200 ? text : null });
  }

  async schedule(name: string, schedule: object, message: string): Promise<void> {
    const { status, body } = await this.#send({ method: 'POST', path: 'crons', key: name, body: { name, schedule, message } });
    // Its one moment may be over by the time that somebody listens.
    const isLate = status === 400 && 'at' in schedule;
    if (status !== 201 && !isLate) throw new Error(`${name} was not scheduled: ${JSON.stringify(body)}`);
  }

  async endSchedules(): Promise<void> {
    const { body } = await this.#send({ method: 'GET', path: 'crons' });
    for (const { cronId } of body.crons)
      await this.#send({ method: 'PATCH', path: `crons/${cronId}`, key: `end-${cronId}`, body: { enabled: false } });
  }

  /** To the agent, until an answer comes that stands. */
  #send({ path, ...call }: Call): Promise<Answer> {
    return insist(this.#account, { ...call, path: `${this.#agentPath}/${path}` });
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
}

const jobs = z.object({
  jobs: z.array(z.object({ name: z.string(), state: z.object({ runningAtMs: z.number().optional() }).optional() })),
});
const runs = z.object({ entries: z.array(z.object({ jobName: z.string().optional(), status: z.string() })), total: z.number() });

/** The names of the jobs of all runs of the one gateway in this folder, by its own account, once none is under way. */
export async function runsOfGateway({ dataDir, driver }: { dataDir: string; driver: RuntimeDriver }): Promise<string[]> {
  const [id = '', key = ''] = (await readFile(join(dataDir, 'master-keys'), 'utf8')).trim().split(':');
  const masterKeys = [{ id, key: Buffer.from(key, 'base64') }];
  const [runtime] = await driver.list();
  if (!runtime) throw new Error('there is no gateway');
  const client = await connectRaw({ endpoints: driver, masterKeys }, runtime.runtimeId);
  try {
    return await eventually(async () => {
      const listed = jobs.parse(await client.request('cron.list', { includeDisabled: true, limit: 200, offset: 0 }));
      const busy = listed.jobs.find(({ state }) => state?.runningAtMs !== undefined);
      if (busy) throw new Error(`a run of ${busy.name} is under way`);
      return await readRuns((params) => client.request('cron.runs', params));
    });
  } finally {
    client.close();
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
