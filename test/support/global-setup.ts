import { globSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureTemporal } from '../../local/temporal-binary.ts';
import { ensureTemporalServer } from '../../local/temporal-server.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/installation.ts';
import { ensureCompose } from './docker-compose.ts';
import { isProductionTemporal } from './temporal-programs.ts';
import { openTestRun } from './test-run.ts';

const NEEDS_TEMPORAL = /^test\/(api|workflows|activities|worker|turns|local|e2e)\//;
const NEEDS_TEMPORAL_SERVER = /^test\/e2e\/compose\./;
const NEEDS_COMPOSE = /compose\./;
const NEEDS_OPENCLAW = /^test\/(api|runtime|activities|worker|turns|local|e2e)\//;

/** The part of Jest's configuration that says which files are chosen. */
interface Run {
  rootDir: string;
  testPathPatterns: { toExecutor(options: { rootDir: string }): { isMatch(file: string): boolean } };
}

/** Installs what the chosen tests run, which may take minutes the first time, and opens the run. */
export default async function globalSetup({ rootDir, testPathPatterns }: Run): Promise<void> {
  const chosen = testPathPatterns.toExecutor({ rootDir });
  const files = globSync('test/**/*.test.ts', { cwd: rootDir }).filter((file) => chosen.isMatch(join(rootDir, file)));
  const installation = {
    cacheDir: cacheDirOf(process.env),
    env: process.env,
    onProgress: (sentence: string) => void process.stderr.write(`${sentence}\n`),
  };
  if (files.some((file) => NEEDS_TEMPORAL.test(file))) await ensureTemporal(installation);
  if (files.some((file) => isProductionTemporal || NEEDS_TEMPORAL_SERVER.test(file))) await ensureTemporalServer(installation);
  if (files.some((file) => NEEDS_COMPOSE.test(file))) await ensureCompose(installation);
  if (files.some((file) => NEEDS_OPENCLAW.test(file))) await ensureOpenClaw(installation);
  await openTestRun();
}
