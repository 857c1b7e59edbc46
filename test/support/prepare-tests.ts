import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureTemporal } from '../../local/temporal/temporal-binary.ts';
import { ensureTemporalServer } from '../../local/temporal/temporal-server.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';
import { ensureGenerators } from '../../scripts/sdk/generators.ts';
import { ensureCompose } from './docker-compose.ts';
import type { Need } from './lanes.ts';
import { ensureSdkPython } from './sdk-python.ts';
import { ensureSchemathesis } from './schemathesis.ts';

/** Installs one thing. PostgreSQL comes with npm, and rounds need nothing. */
type Prepare = (installation: {
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  onProgress(sentence: string): void;
}) => Promise<unknown>;

/** The engine first: where there is none, much need not be installed. */
const PREPARE: readonly [Need, Prepare][] = [
  ['engine', requireEngine],
  ['cluster', requireCluster],
  ['swap', async () => (await import('./swap-under-test.ts')).requireSwap()],
  ['helm', requireHelm],
  [
    'temporal',
    async (installation) => {
      if (process.env['TEMPORAL'] === 'production') await ensureTemporalServer(installation);
      await ensureTemporal(installation);
    },
  ],
  ['temporalServer', ensureTemporalServer],
  ['compose', ensureCompose],
  ['openclaw', ensureOpenClaw],
  ['schemathesis', ensureSchemathesis],
  ['sdkGenerators', ({ cacheDir }) => ensureGenerators(cacheDir)],
  ['sdkPython', ensureSdkPython],
  // Loaded only when asked for, because it loads the whole of Playwright.
  ['chromium', async () => (await import('./chromium.ts')).ensureChromium()],
];

/** Without these a part of the tests can still be run; not where the verdict is given (`CI`). */
const OPTIONAL: ReadonlySet<Need> = new Set([
  'engine',
  'temporal',
  'temporalServer',
  'compose',
  'schemathesis',
  'sdkGenerators',
  'sdkPython',
  'chromium',
]);

/** `npm run test:kubernetes` and `npm run test:suspend` have steps of their own where the verdict is given. */
const ELSEWHERE: ReadonlySet<Need> = new Set(['cluster', 'helm', 'swap']);

export interface Prepared<File> {
  files: File[];
  /** What cannot be run here, and why. */
  leftOut: { files: File[]; reason: string }[];
}

/**
 * Installs what these files need and is not installed yet, which may take minutes, and nothing else. Throws when it is
 * something that no run goes without, or when CI is set.
 */
export async function prepareTests<File extends { needs: ReadonlySet<Need> }>(
  chosen: readonly File[],
  steps: readonly [Need, Prepare][] = PREPARE,
): Promise<Prepared<File>> {
  const installation = {
    cacheDir: cacheDirOf(process.env),
    env: process.env,
    onProgress: (sentence: string) => void process.stderr.write(`${sentence}\n`),
  };
  const prepared: Prepared<File> = { files: [...chosen], leftOut: [] };
  for (const [need, prepare] of steps) {
    const [having, lacking] = [
      prepared.files.filter(({ needs }) => needs.has(need)),
      prepared.files.filter(({ needs }) => !needs.has(need)),
    ];
    if (having.length === 0) continue;
    try {
      await prepare(installation);
    } catch (error) {
      if (!ELSEWHERE.has(need) && (process.env['CI'] !== undefined || !OPTIONAL.has(need))) throw error;
      prepared.files = lacking;
      prepared.leftOut.push({ files: having, reason: error instanceof Error ? error.message.trim() : String(error) });
    }
  }
  return prepared;
}

async function requireEngine(): Promise<void> {
  const { ENGINE_SOCKET, hasEngine } = await import('./docker-under-test.ts');
  if (hasEngine) return;
  throw new Error(`No Docker engine answers at ${ENGINE_SOCKET}. Start one, or name its socket in DOCKER_SOCKET.`);
}

async function requireCluster(): Promise<void> {
  const { hasCluster } = await import('./kubernetes-under-test.ts');
  if (hasCluster) return;
  throw new Error('No Kubernetes cluster runs on this machine. `scripts/kubernetes-cluster.sh start` starts one.');
}

async function requireHelm(): Promise<void> {
  const { findHelm } = await import('./helm.ts');
  if ((await findHelm(process.env)) !== null) return;
  throw new Error('Helm is not on the PATH of this machine. `scripts/kubernetes-cluster.sh build` builds it.');
}
