import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { runProgram } from '../../local/install/go-install.ts';

const ROOT = join(import.meta.dirname, '../..');
/** As in scripts/kubernetes/programs.sh. */
const VERSION = '3.22.0';
const KUBERNETES = '1.37.2';
const object = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type Manifest = z.infer<typeof object>;

/** The words that run Helm: the one of the cache, or of the machine. Null when there is neither. */
export async function findHelm(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const program of [join(cacheDirOf(env), `helm-${VERSION}`, 'helm'), 'helm']) {
    const { code, output } = await runProgram(program, ['version', '--short'], { env });
    if (code === 0 && /^v?3\./.test(output)) return program;
  }
  return null;
}

/** What Helm prints, given these values, where it takes any. Throws with what it complains about. */
export async function helm(words: readonly string[], values: object | null, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const program = await findHelm(process.env);
  if (program === null) throw new Error('There is no Helm.');
  const options = { cwd: ROOT, env: { ...process.env, ...env }, maxBuffer: 16 * 1024 ** 2 };
  const running = promisify(execFile)(program, [...words, ...(values === null ? [] : ['--values', '-'])], options);
  running.child.stdin?.end(values === null ? '' : JSON.stringify(values));
  return (await running).stdout;
}

/** The objects of the chart with these values, for a release `ours` in the namespace `control`. */
export async function renderChart(values: object): Promise<Manifest[]> {
  // Built with Go it takes every cluster for one of long ago.
  const words = ['template', 'ours', 'deploy/chart', '--namespace', 'control', '--kube-version', KUBERNETES];
  return objectsIn(await helm(words, values));
}

/** The objects of a text of several YAML documents. */
export function objectsIn(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .filter((value) => value !== null)
    .map((value) => object.parse(value));
}
