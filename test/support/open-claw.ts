import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';

/** Answers the file that Node runs as a real gateway. */
export async function openClaw(): Promise<string> {
  const { entry } = await ensureOpenClaw({ cacheDir: cacheDirOf(process.env), env: process.env });
  return entry;
}
