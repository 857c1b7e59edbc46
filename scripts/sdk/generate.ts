import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { pythonTypes, typescriptTypes } from './generators.ts';
import type { Generators } from './generators.ts';
import { leanDocument, titledDocument } from './lean-document.ts';
import { pythonMethods, syncOf } from './python-methods.ts';
import { withMethods } from './readme-methods.ts';
import { readOperations, resourceTree } from './read-operations.ts';
import { typescriptMethods } from './typescript-methods.ts';

const ROOT = join(import.meta.dirname, '../..');
const PYTHON = 'sdk/python/src/thermidora';
/** The modules of the synchronous Python client are made of these. */
const TWINS = ['client', 'pages', 'replies', 'streams', 'transport'];

/** A file of a client library by its path from the root of the project, and its text. */
export type GeneratedFile = [path: string, text: string];

/** The document of the API as it stands in the project. */
export async function readDocument(): Promise<unknown> {
  return JSON.parse(await readFile(join(ROOT, 'openapi.json'), 'utf8'));
}

/** What our own code writes: the methods of both libraries and their lists, and the synchronous half of the Python one. */
export async function generateMethods(openapi: unknown): Promise<GeneratedFile[]> {
  const operations = readOperations(openapi);
  const tree = resourceTree(operations);
  const { components } = z.object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) }).parse(openapi);
  const python = pythonMethods(tree);
  const twins = TWINS.map(async (name): Promise<GeneratedFile> => {
    const code = await readFile(join(ROOT, PYTHON, `_async/${name}.py`), 'utf8');
    return [`${PYTHON}/_sync/${name}.py`, syncOf(code)];
  });
  const readmes = (['typescript', 'python'] as const).map(async (language): Promise<GeneratedFile> => {
    const path = `sdk/${language}/README.md`;
    return [path, withMethods(await readFile(join(ROOT, path), 'utf8'), operations, language)];
  });
  return [
    ['sdk/typescript/src/generated/resources.ts', typescriptMethods(tree, Object.keys(components.schemas))],
    [`${PYTHON}/generated/async_resources.py`, python],
    [`${PYTHON}/generated/sync_resources.py`, syncOf(python)],
    ...(await Promise.all(twins)),
    ...(await Promise.all(readmes)),
  ];
}

/** What the generators write: the types of both libraries. */
export async function generateTypes(openapi: unknown, generators: Generators): Promise<GeneratedFile[]> {
  const lean = leanDocument(openapi);
  const [typescript, python] = await Promise.all([
    typescriptTypes(generators, lean),
    pythonTypes(generators, titledDocument(lean)),
  ]);
  return [
    ['sdk/typescript/src/generated/schema.ts', typescript],
    [`${PYTHON}/generated/types.py`, python],
  ];
}
