import { readFile } from 'node:fs/promises';
import { isErrno } from '../../lib/errno.ts';

/** Part of the address space of a process. */
interface Range {
  start: number;
  bytes: number;
}

/** The numbers are the same on every architecture that Linux has got since 2019. */
const PIDFD_OPEN = 434;
const PROCESS_MADVISE = 440;
const MADV_PAGEOUT = 21;
/** Of ranges in one call, so that a caller who gives up waits for a fraction of a second. */
const AT_ONCE = 64;
/** Memory of the kernel, which cannot be moved. */
const OF_KERNEL = /\[(vdso|vvar|vvar_vclock|vsyscall)\]$/;

/**
 * Has the kernel move the memory of this process to swap, as far as it has room there. Nothing happens when the process is gone.
 * Throws when it may not be done, which takes root or CAP_SYS_NICE and the process's own user, and the signal's reason.
 */
export async function pageOut(pid: number, signal: AbortSignal): Promise<void> {
  kernel ??= kernelCalls();
  const { openProcess, close, advise } = await kernel;
  const ranges = await rangesOf(pid);
  const process = ranges.length === 0 ? null : openProcess(pid);
  if (process === null) return;
  try {
    for (let left = ranges; left.length > 0;) {
      signal.throwIfAborted();
      const advised = await advise(process, left.slice(0, AT_ONCE));
      // It stops at a range whose memory cannot be moved, such as one that is locked.
      left = advised > 0 ? behind(left, advised) : left.slice(1);
    }
  } finally {
    close(process);
  }
}

/** What is left of these ranges behind their first bytes. */
function behind(ranges: readonly Range[], bytes: number): Range[] {
  let done = bytes;
  for (const [index, range] of ranges.entries()) {
    if (done < range.bytes) return [{ start: range.start + done, bytes: range.bytes - done }, ...ranges.slice(index + 1)];
    done -= range.bytes;
  }
  return [];
}

async function rangesOf(pid: number): Promise<Range[]> {
  const lines = (await mapsOf(pid)).split('\n').filter((line) => line !== '' && !OF_KERNEL.test(line));
  return lines.flatMap((line) => {
    const [addresses = '', access = ''] = line.split(' ');
    const [start = 0, end = 0] = addresses.split('-').map((address) => Number.parseInt(address, 16));
    return access.startsWith('---') ? [] : [{ start, bytes: end - start }];
  });
}

async function mapsOf(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/maps`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return '';
    throw error;
  }
}

/** Made once, when a process is first to be moved: few processes of ours ever do that. */
let kernel: ReturnType<typeof kernelCalls> | undefined;

/** The calls of Linux that Node does not have. */
async function kernelCalls() {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const open = libc.func('long syscall(long number, int pid, uint flags)');
  const madvise = libc.func('long syscall(long number, int pidfd, void *ranges, size_t count, int advice, uint flags)');
  const closeFile = libc.func('int close(int fd)');
  const lastError = (): string => Object.entries(koffi.os.errno).find(([, code]) => code === koffi.errno())?.[0] ?? 'unknown';
  return {
    /** A handle of the process; null when it is gone. Throws when its memory may not be moved. */
    openProcess(pid: number): number | null {
      const handle = Number(open(PIDFD_OPEN, pid, 0));
      if (handle >= 0 && Number(madvise(PROCESS_MADVISE, handle, null, 0, MADV_PAGEOUT, 0)) === 0) return handle;
      const reason = lastError();
      if (handle >= 0) closeFile(handle);
      if (reason === 'ESRCH') return null;
      throw new Error(`The memory of process ${pid} cannot be moved to swap (${reason}).`);
    },
    close: (handle: number): unknown => closeFile(handle),
    /** How many bytes the kernel has gone through; 0 when the first range cannot be moved. */
    advise(handle: number, ranges: readonly Range[]): Promise<number> {
      const vector = BigUint64Array.from(ranges.flatMap(({ start, bytes }) => [BigInt(start), BigInt(bytes)]));
      return new Promise((resolve, reject) => {
        // In a thread: it may take a second.
        madvise.async(PROCESS_MADVISE, handle, vector, ranges.length, MADV_PAGEOUT, 0, (error: unknown, advised: unknown) => {
          if (error === null || error === undefined) resolve(Math.max(0, Number(advised)));
          else reject(new Error('The call of the kernel could not be made.', { cause: error }));
        });
      });
    },
  };
}
