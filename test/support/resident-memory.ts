import { readFile } from 'node:fs/promises';

/** What this process holds of the machine's memory now, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** What these processes together hold of the memory and of swap, with their share of what they have in common with others, in MiB. */
export async function sharesOf(pids: readonly number[]): Promise<{ residentMiB: number; swappedMiB: number }> {
  const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')));
  const sumOf = (field: string): number =>
    texts.reduce((sum, text) => sum + Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0), 0) / 1024;
  return { residentMiB: sumOf('Pss'), swappedMiB: sumOf('SwapPss') };
}
