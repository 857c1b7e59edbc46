import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';
import { ensureSdkPython } from '../support/sdk-python.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { removeFolder } from '../support/remove-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient & { accountId: string };
let directory: string;
let env: Record<string, string>;
beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
  account = await stack.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'packages' });
  directory = await mkdtemp(join(tmpdir(), 'sdk-packages-'));
  env = { API_URL: `${stack.url}/v1`, API_KEY: apiKey };
  // Beside what any program needs: a registry may have a certificate that this machine alone knows.
  for (const name of ['PATH', 'HOME', 'NODE_EXTRA_CA_CERTS', 'PIP_CERT']) env[name] = process.env[name] ?? '';
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
  await removeFolder(directory);
});

/** What a program prints, which must end well. */
async function output(command: string, args: string[], cwd: string, more: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(command, args, { cwd, env: { ...env, ...more }, timeout: TEST_LIMIT_MS });
  return stdout;
}

/** The first example in this language of a README. */
async function exampleOf(readme: string, language: string): Promise<string> {
  const [, code] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(await readFile(join(ROOT, readme), 'utf8')) ?? [];
  return code!;
}

test('the packed TypeScript client, alone in an empty folder, has its types, runs the example of its README, and brings the command line', async () => {
  const folder = join(directory, 'typescript');
  await mkdir(folder);
  await output('npm', ['pack', '--silent', '--pack-destination', directory], join(ROOT, 'sdk/typescript'));
  const [packed] = (await readdir(directory)).filter((name) => name.endsWith('.tgz'));
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  await output('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', join(directory, packed!)], folder);
  const program = await exampleOf('sdk/typescript/README.md', 'ts');
  await writeFile(join(folder, 'example.ts'), program);
  // The types of Node are for the example, which names `process`.
  const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noEmit', '--module', 'nodenext', '--target', 'es2022'];
  await output(join(ROOT, 'node_modules/.bin/tsc'), [...strict, ...types, 'example.ts'], folder);
  expect(await output(process.execPath, ['example.ts'], folder)).toContain('You said: Good morning!');
  const login = { THERMIDORA_URL: env['API_URL']!, THERMIDORA_API_KEY: env['API_KEY']! };
  expect(await output('npx', ['--no-install', 'thermidora', 'whoami'], folder, login)).toContain(account.accountId);
});

test('the packed Python client, alone in an empty folder, runs the example of its README', async () => {
  const folder = join(directory, 'python');
  const python = join(await ensureSdkPython(), 'python');
  const pip = ['-m', 'pip', '--quiet', '--disable-pip-version-check'];
  await output(
    python,
    [...pip, 'wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', directory, '.'],
    join(ROOT, 'sdk/python'),
  );
  const [packed] = (await readdir(directory)).filter((name) => name.endsWith('.whl'));
  await output(python, [...pip, 'install', '--target', folder, join(directory, packed!)], directory);
  await writeFile(join(directory, 'example.py'), await exampleOf('sdk/python/README.md', 'python'));
  const printed = await output('python3', ['example.py'], directory, { PYTHONPATH: folder });
  expect(printed).toContain('You said: Good morning!');
  expect(await readdir(join(folder, 'thermidora'))).toContain('py.typed');
});
