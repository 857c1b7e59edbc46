import { cacheDirOf } from '../lib/cache-dir.ts';
import { ensureTemporal } from '../local/temporal-binary.ts';
import { ensureOpenClaw } from '../runtime/openclaw/installation.ts';

const LIMIT_MS = 20 * 60_000;

/** Puts the servers that npm cannot install with the rest into the cache, so that nothing has to wait for them later. */
const installation = {
  cacheDir: cacheDirOf(process.env),
  env: process.env,
  onProgress: (sentence: string) => void process.stdout.write(`${sentence}\n`),
  signal: AbortSignal.timeout(LIMIT_MS),
};
const temporal = await ensureTemporal(installation);
const openclaw = await ensureOpenClaw(installation);
process.stdout.write(`Temporal: ${temporal}\nOpenClaw ${openclaw.version}: ${openclaw.entry}\n`);
