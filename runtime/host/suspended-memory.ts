import type { SuspendAnswer } from '../driver.ts';
import { pageOut } from './page-out.ts';
import { hasRoom, memoryOf, readSwap } from './swap-room.ts';

/** The processes of one gateway, none where they cannot be seen, and how they are brought to a halt. */
interface Suspendable {
  pids(): Promise<readonly number[]>;
  /** False when not all of them can be stopped. */
  freeze(): Promise<boolean>;
  thaw(): Promise<void>;
  signal: AbortSignal;
}

/**
 * Brings these processes to a halt and moves their memory to swap. Where there is no room for it, or less than half of it is
 * moved, they go on. Throws the signal's reason, and leaves them halted then.
 */
export async function moveToSwap({ pids, freeze, thaw, signal }: Suspendable): Promise<SuspendAnswer> {
  const [swap, before] = [await readSwap(), await pids()];
  if (before.length === 0) return 'not_permitted';
  const { residentBytes } = await memoryOf(before);
  if (!hasRoom(swap, residentBytes)) return swap.totalBytes === 0 ? 'no_swap' : 'swap_short';
  const answer = (await freeze()) ? await moveAll(await pids(), signal) : 'not_permitted';
  if (answer !== 'suspended') await thaw();
  return answer;
}

async function moveAll(pids: readonly number[], signal: AbortSignal): Promise<SuspendAnswer> {
  try {
    for (const pid of pids) await pageOut(pid, signal);
  } catch {
    signal.throwIfAborted();
    return 'not_permitted';
  }
  const { residentBytes, swappedBytes } = await memoryOf(pids);
  if (pids.length === 0) return 'not_permitted';
  return residentBytes <= swappedBytes ? 'suspended' : 'swap_short';
}
