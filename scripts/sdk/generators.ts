import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../../lib/async/file-lock.ts';
import { ensureVenv } from '../python-venv.ts';

const SOURCE = join(import.meta.dirname, '../../sdk/generators');
const NPM = ['package.json', 'package-lock.json'];
const INSTALL_MS = 5 * 60_000;
const RUN_MS = 2 * 60_000;
const run = promisify(execFile);

/** The commands that make types of an OpenAPI document. */
export interface Generators {
  typescript: string;
  python: string;
}

/**
 * Answers the pinned generators of `sdk/generators`, which are installed into the cache the first time (npm, python3 with venv).
 * They are not among the packages of the project: one needs another version of TypeScript, the other one is Python.
 */
export async function ensureGenerators(cacheDir: string): Promise<Generators> {
  const texts = await Promise.all([...NPM, 'requirements.txt'].map((name) => readFile(join(SOURCE, name))));
  const pinned = createHash('sha256').update(Buffer.concat(texts)).digest('hex').slice(0, 12);
  const target = join(cacheDir, `sdk-generators-${pinned}`);
  const commands = {
    typescript: join(target, 'node_modules/.bin/openapi-typescript'),
    python: join(`${target}-python`, 'bin/datamodel-codegen'),
  };
  await withLock(`${target}.npm.lock`, { timeoutMs: INSTALL_MS }, async () => {
    if (existsSync(commands.typescript)) return;
    const coming = `${target}.new`;
    await rm(coming, { recursive: true, force: true });
    await mkdir(coming, { recursive: true });
    for (const name of NPM) await cp(join(SOURCE, name), join(coming, name));
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: coming, timeout: INSTALL_MS });
    await rename(coming, target);
  });
  await ensureVenv(`${target}-python`, join(SOURCE, 'requirements.txt'));
  return commands;
}

/** The TypeScript types of this document, as openapi-typescript writes them. */
export async function typescriptTypes({ typescript }: Generators, document: object): Promise<string> {
  return generate(document, 'schema.ts', (input, output) => [
    typescript,
    [input, '--output', output, '--default-non-nullable', 'false'],
  ]);
}

const PYTHON_OPTIONS = [
  ...['--input-file-type', 'openapi', '--output-model-type', 'typing.TypedDict', '--target-python-version', '3.11'],
  ...['--openapi-scopes', 'schemas', 'paths', 'parameters', '--use-operation-id-as-name', '--use-title-as-name'],
  ...['--use-standard-collections', '--use-union-operator', '--use-schema-description', '--use-field-description'],
  ...['--enum-field-as-literal', 'all', '--disable-timestamp', '--formatters', 'builtin'],
];

/** The Python types of this document, as datamodel-code-generator writes them: dictionaries with typed keys. */
export async function pythonTypes({ python }: Generators, document: object): Promise<string> {
  return generate(document, 'types.py', (input, output) => [python, ['--input', input, '--output', output, ...PYTHON_OPTIONS]]);
}

async function generate(
  document: object,
  name: string,
  commandOf: (input: string, output: string) => [command: string, args: string[]],
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sdk-types-'));
  try {
    const [input, output] = [join(directory, 'openapi.json'), join(directory, name)];
    await writeFile(input, JSON.stringify(document));
    const [command, args] = commandOf(input, output);
    await run(command, args, { timeout: RUN_MS });
    return await readFile(output, 'utf8');
  } finally {
    await rm(directory, { recursive: true });
  }
}
