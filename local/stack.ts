import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createTemporalProbe } from '../api/observe/probe-temporal.ts';
import { migrate } from '../database/migrate.ts';
import { aborted } from '../lib/async/aborted.ts';
import { cacheDirOf } from '../lib/cache-dir.ts';
import { driverWarnings } from '../runtime/driver-warnings.ts';
import { ensureOpenClaw } from '../runtime/engine.ts';
import { checkStores, refuseStores } from '../stores/check-stores.ts';
import { allOrAbort } from './all-or-abort.ts';
import { buildConsole } from './install/console-build.ts';
import { checkDisk } from './disk.ts';
import { createInvite } from './invite.ts';
import { createConsoleLink, ensureLocalKey, mayHaveLocalAccount } from './local-account.ts';
import { messageOf } from './log-end.ts';
import { refuseLostDataDir } from './lost-data-dir.ts';
import { endLeftover } from './pid-file.ts';
import type { Place } from './place.ts';
import { checkPorts, KeptPorts } from './ports.ts';
import { createPostgresService } from './postgres/postgres-service.ts';
import { stopPostgres } from './postgres/postgres.ts';
import type { Progress } from './progress.ts';
import { reachDatabase } from './postgres/reach-database.ts';
import { Refusal } from './refusal.ts';
import { createService } from './service.ts';
import type { ServiceSpec } from './service.ts';
import { inSentence, leftoversOf, logFileOf, nodeService, originOf, temporalService } from './services.ts';
import { completeSettings } from './settings.ts';
import type { LocalSettings } from './settings.ts';
import type { StopRequest } from './stop-request.ts';
import { ensureTemporal } from './temporal/temporal-binary.ts';
import { watchLogs } from './watch-logs.ts';
import { welcome } from './welcome.ts';

const TEMPORAL_PORT = 7233;
const TEMPORAL_UI_PORT = 8233;

export interface StackDeps {
  progress: Progress;
  now(): number;
  request: StopRequest;
}

interface Stack extends StackDeps {
  place: Place;
  settings: LocalSettings;
  /** What to stop at the end, by stage. Each entry is added before what it stops can run. */
  stops: { stage: Stage; stop: () => Promise<void> }[];
}

/** In the order in which they are stopped: each before those that it needs. */
const STAGES = ['worker', 'parts', 'temporal', 'database'] as const;
type Stage = (typeof STAGES)[number];

/** Runs the whole stack until it is asked to stop, and leaves nothing running. The place must be locked. */
export async function runStack(place: Place, deps: StackDeps): Promise<void> {
  await refuseLostDataDir(place);
  const settings = await completeSettings(place);
  await checkDisk(place.dataDir);
  await endLeftovers(place, deps.progress);
  await checkPorts(settings.config);
  const stack: Stack = { ...deps, place, settings, stops: [] };
  try {
    const temporal = await placeTemporal(stack);
    const env = await prepare(stack, temporal);
    deps.progress.say(await goLive(stack, env, temporal.ui));
    await aborted(deps.request.stop);
  } catch (error) {
    // A start that is interrupted fails with some error, which is of no interest to the person who asked for the stop.
    if (!deps.request.stop.aborted) throw error;
  } finally {
    await stopAll(stack);
  }
}

/** Stops everything, stage by stage, also when one of them cannot be stopped. */
async function stopAll({ stops }: Stack): Promise<void> {
  const failures: unknown[] = [];
  const inOrder = stops.toReversed().toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
  for (const { stop } of inOrder) await stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function endLeftovers(place: Place, { say }: Progress): Promise<void> {
  for (const leftover of leftoversOf(place)) await endLeftover(leftover, say);
  if (await stopPostgres(postgresDirOf(place))) say('Stopped a PostgreSQL that an earlier, killed npm start had left running.');
}

function postgresDirOf({ dataDir }: Place): string {
  return join(dataDir, 'postgres');
}

type Env = Record<string, string>;

/**
 * All at once: OpenClaw is fetched, Temporal is fetched and started, and the API and the relay start as soon as there is a
 * database. Returns the environment of all parts.
 */
async function prepare(stack: Stack, temporal: PlacedTemporal): Promise<Env> {
  const { progress, settings, request } = stack;
  const cacheDir = cacheDirOf(settings.env);
  const common = { cacheDir, env: settings.env, onProgress: (sentence: string) => progress.say(sentence) };
  let env: Env = {};
  await allOrAbort(request.stop, [
    async (signal) => {
      const work = () => ensureOpenClaw({ ...common, signal });
      await progress.step('Preparing OpenClaw', work, ({ version }) => `OpenClaw ${version} is there`);
    },
    async (signal) => {
      if (temporal.ports === null) await reachTemporal(settings);
      else await startTemporal(stack, temporal.ports, { binary: await ensureTemporal({ ...common, signal }), signal });
    },
    async (signal) => {
      const [databaseUrl] = await Promise.all([settings.databaseUrl ?? startDatabase(stack), preparePages(stack)]);
      const work = () => migrateDatabase(databaseUrl, settings);
      await progress.step('Bringing the database up to date', work, () => 'The database is up to date');
      const ui = temporal.ui === null ? {} : { TEMPORAL_UI_URL: temporal.ui };
      env = { ...ui, ...settings.env, DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporal.address };
      await startParts(stack, env, signal);
    },
  ]);
  return env;
}

/** Starts the worker, which needs all the rest, and makes the credentials of the box meanwhile. Returns the box. */
async function goLive(stack: Stack, env: Env, temporalUi: string | null): Promise<string> {
  let box = '';
  await allOrAbort(stack.request.stop, [
    (signal) => startServices(stack, 'worker', { specs: [partOf(stack, 'worker', env)], signal }),
    async () => {
      box = await welcomeOf(stack, temporalUi);
    },
  ]);
  return box;
}

/** The API reads the pages of the console at its start. */
async function preparePages({ place, progress }: Stack): Promise<void> {
  const work = () => buildConsole(place.projectDir);
  await progress.step('Preparing the console', work, (wasBuilt) => (wasBuilt ? 'The console is built' : 'The console is there'));
}

async function startDatabase({ place, progress, now, stops }: Stack): Promise<string> {
  const postgres = createPostgresService(postgresDirOf(place), { say: progress.say, now });
  stops.push({
    stage: 'database',
    stop: () =>
      progress.step(
        'Stopping PostgreSQL',
        () => postgres.stop(),
        () => 'PostgreSQL is stopped',
      ),
  });
  return progress.step(
    'Starting PostgreSQL',
    () => postgres.start(),
    () => 'PostgreSQL runs',
  );
}

async function migrateDatabase(url: string, { config, databaseUrl }: LocalSettings): Promise<void> {
  const stores = { config, randomBytes };
  const work = () => migrate(url, { before: (em) => refuseStores(em, stores), after: (em) => checkStores(em, stores) });
  await (databaseUrl === undefined ? work() : reachDatabase(work));
}

interface TemporalPorts {
  port: number;
  uiPort: number;
}

interface PlacedTemporal {
  address: string;
  ui: string | null;
  /** Null when the Temporal in use is not ours. */
  ports: TemporalPorts | null;
}

/** Where Temporal answers, or will answer once it is started. */
async function placeTemporal({ place, settings }: Stack): Promise<PlacedTemporal> {
  if (settings.temporalAddress !== undefined) return { address: settings.config.TEMPORAL_ADDRESS, ui: null, ports: null };
  const kept = new KeptPorts(join(place.dataDir, 'ports.json'));
  const port = await kept.take('temporal', TEMPORAL_PORT);
  const uiPort = await kept.take('temporalUi', TEMPORAL_UI_PORT);
  return { address: `127.0.0.1:${port}`, ui: originOf('127.0.0.1', uiPort), ports: { port, uiPort } };
}

async function startTemporal(
  stack: Stack,
  ports: TemporalPorts,
  { binary, signal }: { binary: string; signal: AbortSignal },
): Promise<void> {
  const { place, settings } = stack;
  const dataDir = join(place.dataDir, 'temporal');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const namespace = settings.config.TEMPORAL_NAMESPACE;
  const spec = temporalService(place, { binary, dataDir, ...ports, namespace, env: settings.env });
  await startServices(stack, 'temporal', { specs: [spec], signal });
}

/** Throws Refusal when the Temporal that was given is known not to serve. */
async function reachTemporal({ config }: LocalSettings): Promise<void> {
  const state = await createTemporalProbe(config.TEMPORAL_ADDRESS, config.temporalEnv)();
  if (state === 'down')
    throw new Refusal(
      'The Temporal of TEMPORAL_ADDRESS does not answer. Start it, correct the setting, or remove it: then npm start brings its own.',
    );
}

/** Starts API and relay, and from here on keeps the logs of all parts small and shows login codes. */
async function startParts(stack: Stack, env: Env, signal: AbortSignal): Promise<void> {
  const { place, progress, stops } = stack;
  const stopWatching = await watchLogs([
    { file: logFileOf(place, 'api'), onLine: (line) => showMail(line, progress) },
    ...(['relay', 'worker', 'temporal'] as const).map((name) => ({ file: logFileOf(place, name) })),
  ]);
  stops.push({ stage: 'parts', stop: stopWatching });
  await startServices(stack, 'parts', { specs: [partOf(stack, 'api', env), partOf(stack, 'relay', env)], signal });
}

function partOf({ place, settings: { config } }: Stack, name: 'api' | 'relay' | 'worker', env: Env): ServiceSpec {
  return nodeService(name, place, { config, env });
}

/** Starts these at once and waits until they are ready; they are stopped at once too, after all that came later. */
async function startServices(
  { request, stops, progress, now }: Stack,
  stage: Stage,
  { specs, signal }: { specs: ServiceSpec[]; signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const services = specs.map((spec) => ({ spec, service: createService(spec, { say: progress.say, now }) }));
  const stop = async () => {
    await Promise.all(
      services.map(({ spec, service }) => {
        const work = () => service.stop(request.hurry);
        return progress.step(`Stopping ${inSentence(spec.title)}`, work, () => `${spec.title} is stopped`);
      }),
    );
  };
  stops.push({ stage, stop });
  await allOrAbort(
    signal,
    services.map(({ spec, service }) => (both) => {
      return progress.step(
        `Starting ${inSentence(spec.title)}`,
        () => service.start(both),
        () => `${spec.title} runs`,
      );
    }),
  );
}

/** Without a mail server login codes are written to the API's log. This shows them to the person at the terminal. */
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
  const consoleUrl = localKey ? await createConsoleLink(apiOrigin, localKey.apiKey) : `${apiOrigin}/console`;
  return welcome({
    apiOrigin,
    temporalUi,
    apiKey: localKey && { file: shown(localKey.file), value: localKey.isNew ? localKey.apiKey : null },
    inviteCode,
    operatorToken: isOperatorTokenNew ? operatorToken : shown(join(place.dataDir, 'operator-token')),
    modelUpstream: config.MODEL_UPSTREAM_URL ?? null,
    logDir: shown(place.logDir),
    consoleUrl,
    warnings: driverWarnings(config),
  });
}
