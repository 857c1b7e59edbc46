import { readFile } from 'node:fs/promises';
import { hasRoom, readSwap } from '../../runtime/host/swap-room.ts';

/** Of a few scripted gateways, or of a real one. */
const LEAST_BYTES = 1.5 * 1024 ** 3;

/** Throws where no gateway can be suspended. */
export async function requireSwap(): Promise<void> {
  if (process.getuid?.() === 0 && hasRoom(await readSwap(), LEAST_BYTES)) return;
  throw new Error(
    'No gateway can be suspended: it takes root and 2 GiB of free swap, which `scripts/zram.sh start` gives the machine.',
  );
}

/** What these processes take of the memory, with their share of what they have in common with others. */
export async function residentMiB(pids: readonly number[]): Promise<number> {
  const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')));
  return texts.reduce((sum, text) => sum + Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0), 0) / 1024;
}
