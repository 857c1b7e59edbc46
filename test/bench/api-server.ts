import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../runtime/kubernetes/cluster.ts';

const MEBIBYTE = 1024 ** 2;
const WINDOW_MS = 60_000;

export interface ApiServerLoad {
  memoryMb: number;
  /** Of everyone, but for long ones that only listen. */
  callsPerMinute: number;
}

/** What the API server holds, and is asked in the next minute. */
export async function apiServerLoad(admin: Cluster): Promise<ApiServerLoad> {
  const before = await read(admin);
  await sleep(WINDOW_MS);
  const after = await read(admin);
  return { memoryMb: after.memoryMb, callsPerMinute: ((after.calls - before.calls) * 60_000) / (after.atMs - before.atMs) };
}

async function read({ api }: Cluster): Promise<{ memoryMb: number; calls: number; atMs: number }> {
  const pieces: Buffer[] = [];
  for await (const piece of (await api.stream('GET', '/metrics', { accept: '*/*' })) as AsyncIterable<Buffer>) pieces.push(piece);
  let [memory, calls] = [Number.NaN, 0];
  for (const line of Buffer.concat(pieces).toString().split('\n')) {
    const value = Number(line.slice(line.lastIndexOf(' ')));
    if (line.startsWith('process_resident_memory_bytes ')) memory = value;
    if (line.startsWith('apiserver_request_total{') && !/verb="(WATCH|CONNECT)"/.test(line)) calls += value;
  }
  return { memoryMb: memory / MEBIBYTE, calls, atMs: performance.now() };
}
