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
