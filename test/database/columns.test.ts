import { expect, test } from '@jest/globals';
import { MikroORM } from '@mikro-orm/postgresql';
import { columns } from '../../database/db.ts';
import { ENTITIES, ormConfig } from '../../database/orm-config.ts';
import type { Sql } from '../../database/sql.ts';

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
