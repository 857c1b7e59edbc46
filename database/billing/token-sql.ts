import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** What the model calls of an account have cost that is not debited yet, in nano-dollars. */
export const undebitedTokens = (accountId: Sql): Sql =>
  sql`coalesce((select sum(cost_nano_usd) from token_charges where account_id = ${accountId}), 0)`;
