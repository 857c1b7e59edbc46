import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createTokens } from '../../api/security/tokens.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { systemClock } from '../../lib/async/clock.ts';
import { freePorts } from '../../runtime/host/free-port.ts';
import { exists } from '../../runtime/host/missing-files.ts';
import { chooseForDrill } from './drill-database.ts';
import type { DrillAgent } from './drill-database.ts';
import type { Place } from '../place.ts';
import { startPostgres } from './postgres.ts';
import type { Progress } from '../progress.ts';
import { Refusal } from '../refusal.ts';
import { completeSettings } from '../settings.ts';
import { runStack } from '../stack.ts';
import { originOf } from '../services.ts';

/** What a restored copy must not reach: other stores, model providers, mail servers, the engine. */
const LEFT_OUT = ['DATABASE_URL', 'TEMPORAL_ADDRESS', 'MODEL_UPSTREAM_URL', 'MODEL_UPSTREAM_KEY', 'SMTP_URL', 'HOST', 'DATA_DIR'];
const POLL_MS = 1_000;
const START_MS = 10 * 60_000;
const ANSWER_MS = 300_000;
const QUESTION = 'This is a drill of a restore.';

/** One that is about to be restarted takes no messages, although it is `running` still. */
const running = z.object({ status: z.literal('running'), transition: z.null() });
const reply = z.object({ content: z.string() });

export interface DrillOptions {
  /** A `tar` of a DATA_DIR, as docs/OPERATIONS.md makes it. */
  archive: string;
  given: Place['given'];
  projectDir: string;
  progress: Progress;
  now: () => number;
}

/**
 * Restores a backup into an empty folder, starts everything on it, beside whatever runs here, and asks one agent of it.
 * The copy delivers no webhook, sends no mail, asks no model provider, runs one instance, and is removed at the end.
 * Answers what the agent said. Throws Refusal.
 */
export async function drillRestore(options: DrillOptions): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'thermidora-drill-'));
  try {
    const place = await unpack(folder, options);
    const agent = await prepare(place, options.progress);
    return await ask(place, agent, options);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

async function unpack(folder: string, { archive, given, projectDir, progress }: DrillOptions): Promise<Place> {
  const dataDir = join(folder, 'data');
  await mkdir(dataDir, { mode: 0o755 });
  // PostgreSQL may run as another user, which must be able to enter the folder.
  await chmod(folder, 0o755);
  const work = () => promisify(execFile)('tar', ['-C', dataDir, '-xzf', archive]);
  await progress.step('Unpacking the backup', work, () => 'The backup is unpacked');
  const cluster = join(dataDir, 'postgres', 'cluster');
  if (!(await exists(cluster)))
    throw new Refusal(
      `${archive} has no PostgreSQL in postgres/cluster. Make the backup of a whole DATA_DIR, with everything stopped.`,
    );
  if ((await lstat(cluster)).isSymbolicLink())
    throw new Refusal(
      `${archive} has a link in place of postgres/cluster. Make the backup with "tar -h", so that it holds the files.`,
    );
  // Pid files and Temporal's store belong to the machine that the backup is from.
  for (const name of ['run', 'temporal', 'ports.json']) await rm(join(dataDir, name), { recursive: true, force: true });
  const place = {
    projectDir,
    dataDir,
    runDir: join(dataDir, 'run'),
    logDir: join(dataDir, 'logs'),
    given: await settingsOf(given, dataDir),
  };
  for (const dir of [place.runDir, place.logDir]) await mkdir(dir, { recursive: true, mode: 0o700 });
  return place;
}

async function settingsOf(given: Place['given'], dataDir: string): Promise<Place['given']> {
  const out = new Set(LEFT_OUT.flatMap((name) => [name, `${name}_FILE`]));
  const first = await freePorts(5);
  return {
    ...Object.fromEntries(Object.entries(given).filter(([name]) => !out.has(name))),
    RUNTIME: 'process',
    DATA_DIR: dataDir,
    PORT: String(first),
    RELAY_PORT: String(first + 1),
    METRICS_PORT: String(first + 2),
  };
}

/** Chooses the agent to ask, and keeps the copy from reaching customers, before anything of it runs. */
async function prepare({ dataDir }: Place, { step }: Progress): Promise<DrillAgent> {
  const work = async (): Promise<DrillAgent | null> => {
    const postgres = await startPostgres({ dataDir: join(dataDir, 'postgres'), durable: true });
    try {
      return await chooseForDrill(postgres.url);
    } finally {
      await postgres.stop();
    }
  };
  const agent = await step('Opening the database', work, () => 'The database opens');
  if (!agent) throw new Refusal('The backup has no instance with an agent, so no message can be sent to check it.');
  return agent;
}

async function ask(place: Place, agent: DrillAgent, { progress, now }: DrillOptions): Promise<string> {
  const stop = new AbortController();
  const request = { stop: stop.signal, hurry: new AbortController().signal };
  const failed = new AbortController();
  const stack = runStack(place, { progress: { ...progress, say: () => undefined }, now, request });
  stack.catch((error: unknown) => failed.abort(error));
  try {
    return await answerOf(place, agent, { progress, failed: failed.signal });
  } finally {
    stop.abort();
    await stack;
  }
}

async function answerOf(
  place: Place,
  { accountId, tokenVersion, instanceId, agentId }: DrillAgent,
  { progress, failed }: { progress: Progress; failed: AbortSignal },
): Promise<string> {
  const { config } = await completeSettings(place);
  const tokens = createTokens({ masterKeys: config.MASTER_KEYS, clock: systemClock, makeId: createIdMaker(randomBytes) });
  const headers = {
    authorization: `Bearer ${tokens.issue({ accountId, tokenVersion }).token}`,
    'content-type': 'application/json',
  };
  const path = `${originOf(config.HOST, config.PORT)}/v1/instances/${instanceId}`;
  const call = async (url: string, body?: object): Promise<unknown> => {
    const signal = AbortSignal.any([failed, AbortSignal.timeout(ANSWER_MS)]);
    const response = await fetch(url, { headers, signal, ...(body && { method: 'POST', body: JSON.stringify(body) }) });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Refusal(`The restored API responded with status ${response.status}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const runs = async () => running.safeParse(await call(path)).success;
  await progress.step(
    `Starting the copy and instance ${instanceId}`,
    () => untilTrue(runs, failed),
    () => 'The instance runs',
  );
  const work = async () => reply.parse(await call(`${path}/agents/${agentId}/messages`, { message: QUESTION })).content;
  return progress.step('Asking an agent', work, () => 'It has answered');
}

/** Until it is true; it may fail meanwhile, as a server that is not there yet does. */
async function untilTrue(look: () => Promise<boolean>, failed: AbortSignal): Promise<void> {
  const giveUp = AbortSignal.timeout(START_MS);
  for (;;) {
    const isTrue = await look().catch((error: unknown) => {
      if (giveUp.aborted) throw error;
      return false;
    });
    failed.throwIfAborted();
    if (isTrue) return;
    if (giveUp.aborted) throw new Refusal('The instance of the backup did not run within ten minutes.');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
