import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020.js';
import { BASE_PATH } from '../../../api/http/base-path.ts';
import { createOpenapi } from '../../../api/contract/openapi.ts';
import { operations } from '../../../api/operations/index.ts';
import { breakingChanges } from '../../../scripts/breaking-changes.ts';

const REDOCLY = join(import.meta.dirname, '../../../node_modules/.bin/redocly');

function lint(file: string): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile(REDOCLY, ['lint', '--extends=recommended', file], (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}${stderr}` }),
    );
  });
}

test('the document of all operations is a valid OpenAPI document', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
  const file = join(folder, 'openapi.json');
  await writeFile(file, JSON.stringify(createOpenapi(operations, BASE_PATH)));
  const { failed, output } = await lint(file);
  await rm(folder, { recursive: true });
  if (failed) throw new Error(output);
  expect(output).toContain('Your API description is valid');
});

const ROOT = join(import.meta.dirname, '../../..');
const document = JSON.parse(JSON.stringify(createOpenapi(operations, BASE_PATH)));

/** A committed openapi.json, or null where git does not have it. */
function committed(revision: string): Promise<unknown> {
  return new Promise((resolve) => {
    execFile('git', ['show', `${revision}:openapi.json`], { cwd: ROOT, maxBuffer: 2 ** 25 }, (error, stdout) =>
      resolve(error ? null : JSON.parse(stdout)),
    );
  });
}

test('openapi.json is the document of this code (npm run openapi)', async () => {
  expect(JSON.parse(await readFile(join(ROOT, 'openapi.json'), 'utf8'))).toEqual(document);
});

/** What the document did not say although the code never took anything else: no client that worked before breaks. */
const CORRECTIONS = [
  / header Idempotency-Key has another pattern$/,
  / body\.message has a tighter minLength$/,
  /webhooks.* body\.url has (another format|a tighter maxLength)$/,
];

test('no client of openapi.json, nor of the last committed ones, breaks', async () => {
  const current: unknown = JSON.parse(await readFile(join(ROOT, 'openapi.json'), 'utf8'));
  const earlier = [current, await committed('HEAD'), await committed('HEAD^')].filter((before) => before !== null);
  const changes = earlier.flatMap((before) => breakingChanges(before, document));
  expect(changes.filter((change) => !CORRECTIONS.some((correction) => correction.test(change)))).toEqual([]);
});

interface Media {
  schema: object;
  example: unknown;
}
interface Described {
  operationId: string;
  requestBody?: { content: { 'application/json': Media } };
  responses: Record<string, { content: { 'application/json': Media } }>;
}

const described = Object.values<Record<string, Described>>(document.paths).flatMap((methods) => Object.values(methods));
// Its types are those of a CommonJS module.
const ajv = new Ajv2020.default({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ $id: 'document', components: document.components });

function problemsOf({ schema, example }: Media): unknown {
  const local = JSON.parse(JSON.stringify(schema).replaceAll('#/components', 'document#/components'));
  return ajv.validate(local, example) ? [] : ajv.errors;
}

test.each(described.map((operation) => [operation.operationId, operation] as const))(
  '%s has examples that fit their schemas',
  (operationId, { requestBody, responses }) => {
    const bodies = [...(requestBody ? [requestBody] : []), ...Object.values(responses)];
    for (const { content } of bodies) {
      // Of a stream there is no example: its events are those of a list.
      if (!content?.['application/json']) continue;
      expect(content['application/json'].example).toBeDefined();
      expect(problemsOf(content['application/json'])).toEqual([]);
    }
    // What the schema of the document says less about than the code does.
    const { body, success } = operations.find((operation) => operation.operationId === operationId)!;
    expect(body?.safeParse(requestBody?.content['application/json'].example).error).toBeUndefined();
    if (success.stream === 'only' || success.file) return;
    expect(success.schema.safeParse(responses[success.status]?.content['application/json'].example).error).toBeUndefined();
  },
);
