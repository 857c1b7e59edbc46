import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { laneOf, testFiles } from './lanes.ts';

const ROOT = join(import.meta.dirname, '../..');

let rootDir: string;

beforeAll(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'lanes-'));
});
afterAll(() => rm(rootDir, { recursive: true }));

/** The lane of a test with these imports, next to modules with theirs. */
async function laneWith(text: string, others: Record<string, string> = {}): Promise<string> {
  for (const [path, content] of Object.entries({ ...others, 'test/x.test.ts': text })) {
    await mkdir(dirname(join(rootDir, path)), { recursive: true });
    await writeFile(join(rootDir, path), content);
  }
  return laneOf(testFiles(rootDir).get('test/x.test.ts') ?? new Set());
}

describe('the lane of a test file', () => {
  const stack = { 'test/stack.ts': "import { ensureOpenClaw } from '../runtime/openclaw/install/installation.ts';\n" };

  test.each([
    ['nothing that starts something', "import { decide } from '../domain/lifecycle.ts';\n", 'unit'],
    ['what starts a server', "import { startPostgres } from '../local/postgres/postgres.ts';\n", 'database'],
    [
      'the same over several lines',
      "import {\n  startPostgres,\n  stopPostgres,\n} from '../local/postgres/postgres.ts';\n",
      'database',
    ],
    ['it by another name', "import { startPostgres as start } from '../local/postgres/postgres.ts';\n", 'database'],
    ['all of such a module', "import * as postgres from '../local/postgres/postgres.ts';\n", 'database'],
    ['it from a helper', "import { startStack } from './stack.ts';\n", 'gateway'],
    ['it by a helper that passes it on', "export { startStack } from './stack.ts';\n", 'gateway'],
    ['it while it runs', "const { startStack } = await import('./stack.ts');\n", 'gateway'],
    ['a helper for its effect', "import './stack.ts';\n", 'gateway'],
    ['that it starves the machine', "import { starveMachine } from './support/starve-machine.ts';\n", 'unit'],
    ['its types', "import type { StackUnderTest } from './stack.ts';\n", 'unit'],
    ['another name of such a module', "import { stopPostgres } from '../local/postgres/postgres.ts';\n", 'unit'],
    ['the rounds of a campaign', "import { campaignRounds, createDice } from './support/campaign.ts';\n", 'campaign'],
    ['dice alone', "import { createDice } from './support/campaign.ts';\n", 'unit'],
    ['several', "import './stack.ts';\nimport { docker } from './support/docker-under-test.ts';\n", 'docker'],
  ])('follows from its imports: %s', async (_what, text, lane) => {
    expect(await laneWith(text, stack)).toBe(lane);
  });

  test('is found though helpers import each other', async () => {
    const others = { 'test/a.ts': "import './b.ts';\n", 'test/b.ts': "import './a.ts';\nimport './stack.ts';\n" };
    expect(await laneWith("import './a.ts';\n", { ...stack, ...others })).toBe('gateway');
  });
});

// One file of each kind whose needs are known: a starter that is renamed or moved fails here.
test.each([
  ['test/domain/lifecycle.test.ts', []],
  ['test/api/operations/instances.test.ts', ['postgres']],
  ['test/local/postgres.test.ts', ['postgres']],
  ['test/workflows/workflow-bundle.test.ts', ['temporalLibrary']],
  ['test/workflows/recorded-histories.test.ts', ['temporalLibrary']],
  ['test/workflows/deliver-webhook.test.ts', ['postgres', 'temporal', 'temporalLibrary']],
  ['test/turns/lost-gateway.test.ts', ['openclaw', 'postgres']],
  ['test/turns/recover-turns.test.ts', ['postgres']],
  ['test/e2e/npm-start.test.ts', ['openclaw', 'temporal']],
  ['test/e2e/docs-page.test.ts', ['chromium', 'openclaw', 'postgres', 'temporal']],
  ['test/api/schemathesis.test.ts', ['postgres', 'schemathesis']],
  ['test/sdk/generated-types.test.ts', ['sdkGenerators']],
  ['test/sdk/python.test.ts', ['postgres', 'sdkPython']],
  ['test/database/billing/crash.test.ts', ['postgres', 'rounds']],
  ['test/e2e/compose.test.ts', ['compose', 'engine', 'postgres', 'temporalServer']],
])('%s needs %j', (file, needs) => {
  expect([...(testFiles(ROOT).get(file) ?? ['there is no such file'])].toSorted()).toEqual(needs);
});
