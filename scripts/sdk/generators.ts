import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../../lib/async/file-lock.ts';

const SOURCE = join(import.meta.dirname, '../../sdk/generators');
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
  const lists = ['package.json', 'package-lock.json', 'requirements.txt'];
  const texts = await Promise.all(lists.map((name) => readFile(join(SOURCE, name))));
  const pinned = createHash('sha256').update(Buffer.concat(texts)).digest('hex').slice(0, 12);
  const target = join(cacheDir, `sdk-generators-${pinned}`);
  const commands = {
    typescript: join(target, 'node_modules/.bin/openapi-typescript'),
    python: join(target, 'python/bin/datamodel-codegen'),
  };
  return withLock(`${target}.lock`, { timeoutMs: INSTALL_MS }, async () => {
    const done = join(target, 'installed');
    if (await exists(done)) return commands;
    await rm(target, { recursive: true, force: true });
    await mkdir(target, { recursive: true });
    for (const name of lists) await cp(join(SOURCE, name), join(target, name));
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target, timeout: INSTALL_MS });
    await run('python3', ['-m', 'venv', join(target, 'python')], { timeout: INSTALL_MS });
    const pip = ['install', '--quiet', '--no-deps', '--requirement', join(target, 'requirements.txt')];
    await run(join(target, 'python/bin/pip'), pip, { timeout: INSTALL_MS });
    // Scripts of a venv name its folder, so it cannot be made elsewhere and moved here: the last file says that it is whole.
    await writeFile(`${done}.new`, '');
    await rename(`${done}.new`, done);
    return commands;
  });
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

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
