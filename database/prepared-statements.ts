import type { ClientBase } from 'pg';
import { PREPARE_ACCOUNT_OF_KEY } from './queries/api-keys.ts';
import { PREPARE_VIEW_INSTANCE } from './queries/view-instances.ts';

/**
 * What is asked with every call: planned once on each connection and executed by name, because MikroORM writes the values
 * into the text of a statement, so that the database would plan it anew each time.
 */
const STATEMENTS = [PREPARE_ACCOUNT_OF_KEY, PREPARE_VIEW_INSTANCE].join(';\n');

/** Makes the statements known on a new connection. Rejects on a database that has not our tables. */
export async function prepareStatements(client: ClientBase): Promise<void> {
  await client.query(STATEMENTS);
}
