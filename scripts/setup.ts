import { cacheDirOf } from '../lib/cache-dir.ts';
import { ensureTemporal } from '../local/temporal/temporal-binary.ts';
import { ensureTemporalServer } from '../local/temporal/temporal-server.ts';
import { ensureOpenClaw } from '../runtime/engine.ts';
import { ensureCompose } from '../test/support/docker-compose.ts';

const LIMIT_MS = 25 * 60_000;

/**
 * Puts the servers that npm cannot install with the rest into the cache, so that nothing has to wait for them later.
 * With --for-tests also what only the tests run.
 */
const installation = {
  cacheDir: cacheDirOf(process.env),
  env: process.env,
  onProgress: (sentence: string) => void process.stdout.write(`${sentence}\n`),
  signal: AbortSignal.timeout(LIMIT_MS),
};
const temporal = await ensureTemporal(installation);
if (process.argv.includes('--for-tests')) {
  const { server } = await ensureTemporalServer(installation);
  const compose = await ensureCompose(installation);
  // Only where what developers need is installed.
  const { ensureChromium } = await import('../test/support/chromium.ts');
  const { ensureSchemathesis } = await import('../test/support/schemathesis.ts');
  process.stdout.write(`Chromium: ${await ensureChromium()}\nSchemathesis: ${await ensureSchemathesis()}\n`);
  process.stdout.write(`Temporal server: ${server}\nDocker Compose: ${compose.join(' ')}\n`);
}
const openclaw = await ensureOpenClaw(installation);
process.stdout.write(`Temporal: ${temporal}\nOpenClaw ${openclaw.version}: ${openclaw.entry}\n`);
