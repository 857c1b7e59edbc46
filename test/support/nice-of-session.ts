import { readFile } from 'node:fs/promises';

/** With which niceness the session of this process shares CPU time with others; null on a system without autogroups. */
export async function niceOfSession(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/autogroup`, 'utf8').catch(() => '');
  return /nice (-?\d+)/.exec(text)?.[1] ?? null;
}
