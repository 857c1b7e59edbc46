import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MikroORM } from '@mikro-orm/postgresql';
import { columns } from '../../database/db.ts';
import { ENTITIES, ormConfig } from '../../database/orm-config.ts';
import type { Sql } from '../../database/sql.ts';

const ROOT = join(import.meta.dirname, '../..');

const namedColumns = () => ENTITIES.map((entity): Record<string, Sql> => columns(entity, 'row'));

test('columns are named as MikroORM names them, before it has started and after', () => {
  const before = namedColumns();
  const { em } = new MikroORM(ormConfig('postgres://nobody@127.0.0.1:1/none'));
  const expected = ENTITIES.map(({ name: entity }) => {
    const { props } = em.getMetadata().getByClassName(entity);
    return props.map(({ name, fieldNames }) => `${name}: "row"."${fieldNames[0]}"`);
  });
  const written = (tables: Record<string, Sql>[]) =>
    tables.map((table) => Object.entries(table).map(([name, column]) => `${name}: ${column.compile(em.getKysely()).sql}`));
  expect(written(before)).toEqual(expected);
  expect(written(namedColumns())).toEqual(expected);
});

/** Every `'Entity as alias'` of the statements in these sources. */
async function aliases(): Promise<{ file: string; entity: string; alias: string }[]> {
  const folders = ['activities', 'api', 'database', 'relay', 'stores', 'turns', 'worker'];
  const lists = await Promise.all(folders.map((folder) => readdir(join(ROOT, folder), { recursive: true })));
  const files = folders.flatMap((folder, index) => (lists[index] ?? []).map((file) => join(folder, file)));
  const sources = files.filter((file) => file.endsWith('.ts'));
  const found = await Promise.all(
    sources.map(async (file) => {
      const text = await readFile(join(ROOT, file), 'utf8');
      return [...text.matchAll(/'([A-Z]\w+) as (\w+)'/g)].map(([, entity = '', alias = '']) => ({ file, entity, alias }));
    }),
  );
  return found.flat();
}

test('no alias of a table makes the name of a column that MikroORM would take for another one', async () => {
  const { em } = new MikroORM(ormConfig('postgres://nobody@127.0.0.1:1/none'));
  const fieldsOf = (entity: string) =>
    em
      .getMetadata()
      .getByClassName(entity)
      .props.flatMap(({ fieldNames }) => fieldNames);
  const known = new Set(ENTITIES.flatMap(({ name }) => fieldsOf(name)));
  const found = await aliases();
  expect(found.length).toBeGreaterThan(0);
  // A row of `'Agent as agent'` and a column `agent_id` of another table would have its value under `id`.
  const mistaken = found.filter(({ entity, alias }) => fieldsOf(entity).some((field) => known.has(`${alias}_${field}`)));
  expect(mistaken).toEqual([]);
});
