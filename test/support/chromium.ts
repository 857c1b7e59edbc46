import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import type { BrowserContext } from 'playwright-core';
import { PATIENCE_MS } from './eventually.ts';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const INSTALL_MS = 10 * 60_000;
const run = promisify(execFile);

/** Answers the Chromium of this machine; where there is none, Debian's is installed. */
export async function ensureChromium(): Promise<string> {
  const present = await findChromium();
  if (present !== null) return present;
  const options = { timeout: INSTALL_MS, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'chromium'], options);
  } catch (error) {
    throw new Error('There is no Chromium, and apt-get cannot install it here. Install it, then test again.', { cause: error });
  }
  const installed = await findChromium();
  if (installed === null) throw new Error('apt-get has installed Chromium, but not where it is looked for.');
  return installed;
}

async function findChromium(): Promise<string | null> {
  for (const program of PROGRAMS)
    if (
      await access(program, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return program;
  return null;
}

export interface Browser {
  context: BrowserContext;
  close(): Promise<void>;
}

/** A headless browser that knows nothing and calls nobody by itself. */
export async function startBrowser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: await ensureChromium(),
    headless: true,
    timeout: PATIENCE_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
