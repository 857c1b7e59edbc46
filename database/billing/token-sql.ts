import { columns } from '../db.ts';
import { TokenCharge } from '../entities/token-charge.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const charge = columns(TokenCharge, 'token_charges');

/** What the model calls of an account have cost that is not debited yet, in nano-dollars. */
export const undebitedTokens = (accountId: Sql) =>
  sql<bigint>`coalesce((select sum(${charge.costNanoUsd}) from token_charges where ${charge.account} = ${accountId}), 0)`;
