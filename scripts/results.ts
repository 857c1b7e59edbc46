import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');

/** Where committed results are kept, one JSON file for each bench and campaign. */
export const RESULTS_DIR = join(ROOT, 'docs/results');

const row = z.strictObject({
  what: z.string(),
  p50: z.number(),
  /** Null when a single value was measured. */
  p99: z.number().nullable(),
  /** How many values were measured; null when it is not known. */
  count: z.int().nullable(),
  unit: z.string(),
  /** What the value has to reach, in words. */
  goal: z.string(),
  /** Null when there is nothing to reach. */
  reached: z.boolean().nullable(),
});

const circumstances = {
  name: z.string(),
  /** Run in a clone of this project, it measures the same again. */
  command: z.string(),
  measuredOn: z.iso.date(),
  commit: z.string(),
  machine: z.string(),
};

const result = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bench'), ...circumstances, rows: z.array(row) }),
  z.strictObject({
    kind: z.literal('campaign'),
    ...circumstances,
    seed: z.int(),
    /** What was counted, by name. */
    counts: z.record(z.string(), z.int()),
    outcome: z.string(),
  }),
]);

export type Result = z.infer<typeof result>;
export type ResultRow = z.infer<typeof row>;
type Measured = Omit<Extract<Result, { kind: 'bench' }>, Known> | Omit<Extract<Result, { kind: 'campaign' }>, Known>;
type Known = 'measuredOn' | 'commit' | 'machine';

/** The machine of this process: processors, memory and Node. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}, ${memory} GiB, Node ${process.version}`;
}

/** Keeps what was just measured as a file of this directory, in place of an earlier result of the same name. */
export async function keepResult(directory: string, measured: Measured, now: Date): Promise<void> {
  const commit = execFileSync('git', ['describe', '--always', '--dirty', '--exclude=*'], { cwd: ROOT, encoding: 'utf8' }).trim();
  const kept = result.parse({ ...measured, measuredOn: now.toISOString().slice(0, 10), commit, machine: describeMachine() });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, `${kept.name.replaceAll(' ', '-')}.json`), `${JSON.stringify(kept, null, 2)}\n`);
}

/** All results of this directory, benches first, by name. Throws when one of the files is not a result. */
export async function readResults(directory: string): Promise<Result[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.json'));
  const results = await Promise.all(
    files.map(async (file) => result.parse(JSON.parse(await readFile(join(directory, file), 'utf8')))),
  );
  return results.toSorted((a, b) => a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name));
}
