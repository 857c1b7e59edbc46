import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createTemporalProbe } from '../api/probe-temporal.ts';
import { migrate } from '../database/migrate.ts';
import { cacheDirOf } from '../lib/cache-dir.ts';
import { isErrno } from '../lib/errno.ts';
import { driverWarnings } from '../runtime/create-driver.ts';
import { ensureOpenClaw } from '../runtime/openclaw/installation.ts';
import { allOrAbort } from './all-or-abort.ts';
import { checkDisk } from './disk.ts';
import { createInvite } from './invite.ts';
import { ensureLocalKey, mayHaveLocalAccount } from './local-account.ts';
import { messageOf } from './log-end.ts';
import { endLeftover } from './pid-file.ts';
import type { Place } from './place.ts';
import { checkPorts, KeptPorts } from './ports.ts';
import { createPostgresService } from './postgres-service.ts';
import { stopPostgres } from './postgres.ts';
import type { Progress } from './progress.ts';
import { Refusal } from './refusal.ts';
import { aborted, createService } from './service.ts';
import type { ServiceSpec } from './service.ts';
import { inSentence, leftoversOf, logFileOf, nodeService, originOf, temporalService } from './services.ts';
import { completeSettings } from './settings.ts';
import type { LocalSettings } from './settings.ts';
import type { StopRequest } from './stop-request.ts';
import { ensureTemporal } from './temporal-binary.ts';
import { watchLogs } from './watch-logs.ts';
import { welcome } from './welcome.ts';

const TEMPORAL_PORT = 7233;
const TEMPORAL_UI_PORT = 8233;
const UNREACHABLE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET'];

export interface StackDeps {
  progress: Progress;
  now(): number;
  request: StopRequest;
}

interface Stack extends StackDeps {
  place: Place;
  settings: LocalSettings;
  /** What to stop at the end, the last one first. Each is there before what it stops can run. */
  stops: (() => Promise<void>)[];
}

/** Runs the whole stack until it is asked to stop, and leaves nothing running. The place must be locked. */
export async function runStack(place: Place, deps: StackDeps): Promise<void> {
  const settings = await completeSettings(place);
  await checkDisk(place.dataDir);
  await endLeftovers(place, deps.progress);
  await checkPorts(settings.config);
  const stack: Stack = { ...deps, place, settings, stops: [] };
  try {
    const found = await prepare(stack);
    const temporal = await startTemporal(stack, found.temporalBinary);
    await startParts(stack, { ...settings.env, DATABASE_URL: found.databaseUrl, TEMPORAL_ADDRESS: temporal.address });
    deps.progress.say(await welcomeOf(stack, temporal.ui));
    await aborted(deps.request.stop);
  } catch (error) {
    // What is interrupted fails in its own way; whoever asked for the stop needs no explanation.
    if (!deps.request.stop.aborted) throw error;
  } finally {
    await stopAll(stack);
  }
}

/** Stops everything, the last one first, also when one of them cannot be stopped. */
async function stopAll({ stops }: Stack): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.toReversed()) await stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function endLeftovers(place: Place, { say }: Progress): Promise<void> {
  for (const leftover of leftoversOf(place)) await endLeftover(leftover, say);
  if (await stopPostgres(postgresDirOf(place))) say('A PostgreSQL that a killed start left behind was stopped.');
}

function postgresDirOf({ dataDir }: Place): string {
  return join(dataDir, 'postgres');
}

interface Found {
  databaseUrl: string;
  /** Null when the Temporal in use is not ours. */
  temporalBinary: string | null;
}

/** What takes long the first time, all at once: OpenClaw and Temporal are fetched while the database is made. */
async function prepare(stack: Stack): Promise<Found> {
  const { progress, settings, request } = stack;
  const cacheDir = cacheDirOf(settings.env);
  const common = { cacheDir, env: settings.env, onProgress: (sentence: string) => progress.say(sentence) };
  const found: Found = { databaseUrl: '', temporalBinary: null };
  await allOrAbort(request.stop, [
    async (signal) => {
      const work = () => ensureOpenClaw({ ...common, signal });
      await progress.step('Preparing OpenClaw', work, ({ version }) => `OpenClaw ${version} is there`);
    },
    async (signal) => {
      if (settings.temporalAddress !== undefined) return;
      found.temporalBinary = await ensureTemporal({ ...common, signal });
    },
    async () => {
      found.databaseUrl = settings.databaseUrl ?? (await startDatabase(stack));
      const work = () => migrateDatabase(found.databaseUrl, settings);
      await progress.step('Bringing the database up to date', work, () => 'The database is up to date');
    },
  ]);
  return found;
}

async function startDatabase({ place, progress, now, stops }: Stack): Promise<string> {
  const postgres = createPostgresService(postgresDirOf(place), { say: progress.say, now });
  stops.push(() =>
    progress.step(
      'Stopping PostgreSQL',
      () => postgres.stop(),
      () => 'PostgreSQL is stopped',
    ),
  );
  return progress.step(
    'Starting PostgreSQL',
    () => postgres.start(),
    () => 'PostgreSQL runs',
  );
}

async function migrateDatabase(url: string, { databaseUrl }: LocalSettings): Promise<void> {
  try {
    await migrate(url);
  } catch (error) {
    if (databaseUrl === undefined || !isErrno(error, ...UNREACHABLE)) throw error;
    throw new Refusal(
      'The PostgreSQL of DATABASE_URL cannot be reached. Start it, correct the setting, or remove it: then npm start brings its own.',
    );
  }
}

async function startTemporal(stack: Stack, binary: string | null): Promise<{ address: string; ui: string | null }> {
  const { place, settings } = stack;
  if (binary === null) return { address: await reachTemporal(settings), ui: null };
  const ports = new KeptPorts(join(place.dataDir, 'ports.json'));
  const port = await ports.take('temporal', TEMPORAL_PORT);
  const uiPort = await ports.take('temporalUi', TEMPORAL_UI_PORT);
  const dataDir = join(place.dataDir, 'temporal');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const namespace = settings.config.TEMPORAL_NAMESPACE;
  await startServices(stack, [temporalService(place, { binary, dataDir, port, uiPort, namespace, env: settings.env })]);
  return { address: originOf('127.0.0.1', port).slice('http://'.length), ui: originOf('127.0.0.1', uiPort) };
}

/** The address of the Temporal that was given. Throws Refusal when it is known not to serve. */
async function reachTemporal({ config }: LocalSettings): Promise<string> {
  const state = await createTemporalProbe(config.TEMPORAL_ADDRESS, config.temporalEnv)();
  if (state === 'down')
    throw new Refusal(
      'The Temporal of TEMPORAL_ADDRESS does not answer. Start it, correct the setting, or remove it: then npm start brings its own.',
    );
  return config.TEMPORAL_ADDRESS;
}

async function startParts(stack: Stack, env: Record<string, string>): Promise<void> {
  const { place, settings, progress, stops } = stack;
  const spec = (name: 'api' | 'relay' | 'worker') => nodeService(name, place, { config: settings.config, env });
  const stopWatching = await watchLogs([
    { file: logFileOf(place, 'api'), onLine: (line) => showMail(line, progress) },
    ...(['relay', 'worker', 'temporal'] as const).map((name) => ({ file: logFileOf(place, name) })),
  ]);
  stops.push(stopWatching);
  await startServices(stack, [spec('api'), spec('relay')]);
  await startServices(stack, [spec('worker')]);
}

/** Starts these at once and waits until they are ready; they are stopped at once too, after all that came later. */
async function startServices({ request, stops, progress, now }: Stack, specs: ServiceSpec[]): Promise<void> {
  const services = specs.map((spec) => ({ spec, service: createService(spec, { say: progress.say, now }) }));
  stops.push(async () => {
    await Promise.all(
      services.map(({ spec, service }) => {
        const work = () => service.stop(request.hurry);
        return progress.step(`Stopping ${inSentence(spec.title)}`, work, () => `${spec.title} is stopped`);
      }),
    );
  });
  await allOrAbort(
    request.stop,
    services.map(({ spec, service }) => (signal) => {
      return progress.step(
        `Starting ${inSentence(spec.title)}`,
        () => service.start(signal),
        () => `${spec.title} runs`,
      );
    }),
  );
}

/** Without a mail server the login codes stand in the API's log; whoever sits at the terminal should see them there. */
function showMail(line: string, { say }: Progress): void {
  const text = messageOf(line)?.msg;
  if (text?.startsWith('Mail to ')) say(text);
}

async function welcomeOf({ place, settings }: Stack, temporalUi: string | null): Promise<string> {
  const { config, operatorToken, isOperatorTokenNew } = settings;
  const apiOrigin = originOf(config.HOST, config.PORT);
  const shown = (path: string) => (relative(place.projectDir, path).startsWith('..') ? path : relative(place.projectDir, path));
  const [inviteCode, localKey] = await Promise.all([
    createInvite(apiOrigin, operatorToken),
    mayHaveLocalAccount(config) ? ensureLocalKey(place.dataDir, apiOrigin, operatorToken) : null,
  ]);
  return welcome({
    apiOrigin,
    temporalUi,
    apiKey: localKey && { file: shown(localKey.file), value: localKey.isNew ? localKey.apiKey : null },
    inviteCode,
    operatorToken: isOperatorTokenNew ? operatorToken : shown(join(place.dataDir, 'operator-token')),
    modelUpstream: config.MODEL_UPSTREAM_URL ?? null,
    logDir: shown(place.logDir),
    warnings: driverWarnings(config),
  });
}
