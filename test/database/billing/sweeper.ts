import { createOrm } from '../../../database/orm.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';

// One sweep in a process of its own, for tests that kill it: node sweeper.ts <database url> <time in ms>.
const [databaseUrl = '', now] = process.argv.slice(2);
const orm = await createOrm(databaseUrl);
process.stdout.write('begins\n');
try {
  await debitDue(orm.em, { now: new Date(Number(now)), batch: 3 });
} catch {
  // Its connection was ended: that is what it is for.
} finally {
  await orm.close(true);
}
