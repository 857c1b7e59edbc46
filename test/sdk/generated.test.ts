import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { generateMethods, readDocument } from '../../scripts/sdk/generate.ts';
import { readOperations } from '../../scripts/sdk/read-operations.ts';
import { syncOf } from '../../scripts/sdk/python-methods.ts';
import { Thermidora } from '../../sdk/typescript/src/index.ts';

const ROOT = join(import.meta.dirname, '../..');

test('the methods of the client libraries are those of openapi.json: `npm run sdk` writes them', async () => {
  for (const [path, text] of await generateMethods(await readDocument())) {
    const there = await readFile(join(ROOT, path), 'utf8');
    if (there !== text) throw new Error(`${path} is not what openapi.json says: run \`npm run sdk\``);
  }
});

test('every operation of the document but the document itself is a method of the TypeScript client', async () => {
  const { paths } = z
    .object({
      paths: z.record(z.string(), z.record(z.string(), z.object({ operationId: z.string(), tags: z.array(z.string()) }))),
    })
    .parse(await readDocument());
  const client: unknown = new Thermidora({ apiKey: 'tc_live_x' });
  const all = Object.values(paths).flatMap((item) => Object.values(item));
  const missing = all.filter(({ operationId, tags }) => {
    const names = operationId.split('.');
    const place = tags.includes('operator') && names[0] !== 'operator' ? ['operator', ...names] : names;
    let at: unknown = client;
    for (const name of place)
      at = z.looseObject({}).or(z.instanceof(Object)).safeParse(at).success ? Reflect.get(Object(at), name) : null;
    return typeof at !== 'function';
  });
  expect(missing.map(({ operationId }) => operationId)).toEqual(['meta.openapi']);
});

const operation = (content: object, more: object = {}) => ({
  paths: {
    '/things/{thingId}': {
      post: { operationId: 'things.do', summary: 'Do it', tags: ['things'], responses: { 200: { content } }, ...more },
    },
  },
});

test('a stream that has no method yet is refused by its name', () => {
  expect(() => readOperations(operation({ 'text/event-stream': {} }))).toThrow(/things\.do answers server-sent events/);
});

test('an operation whose body or answer is not JSON is sent and answered as it is', () => {
  const body = { requestBody: { required: true, content: { 'application/octet-stream': {} } } };
  expect(readOperations(operation({ 'application/gzip': {} }, body))).toMatchObject([{ body: 'raw', answer: { kind: 'raw' } }]);
});

test('a list is known by its cursor, and its items by their schema', () => {
  const schema = {
    properties: { things: { type: 'array', items: { $ref: '#/components/schemas/Thing' } }, nextCursor: { type: 'string' } },
  };
  const parameters = [{ name: 'cursor', in: 'query' }];
  expect(readOperations(operation({ 'application/json': { schema } }, { parameters }))).toMatchObject([
    { answer: { kind: 'page', items: 'things', itemSchemas: ['Thing'], cursor: 'cursor', next: 'nextCursor' } },
  ]);
});

test('the synchronous Python of asynchronous code has the words of the other kind', () => {
  const code = 'async def f(self) -> AsyncPages:\n    async for x in await self.y():\n        await asyncio.sleep(1)\n';
  expect(syncOf(code)).toMatch(/\ndef f\(self\) -> Pages:\n {4}for x in self\.y\(\):\n {8}time\.sleep\(1\)\n$/);
});
