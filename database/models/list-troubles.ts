import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** A model that its provider does not answer for at the moment. */
export interface TroubleView {
  provider: string;
  upstream: string;
  reason: string;
  since: Date;
  /** When the provider is tried again. */
  until: Date;
}

/** What a relay saw fail and has not tried again since: at most a row for each model of each provider. */
export async function listTroubles(em: EntityManager): Promise<TroubleView[]> {
  const rows = await query<Record<'provider' | 'upstream' | 'reason', string> & Record<'since' | 'until', Date | string>>(
    em,
    sql`select provider, upstream, reason, since, until from model_troubles where until > now()`,
  );
  return rows.map((row) => ({ ...row, since: new Date(row.since), until: new Date(row.until) }));
}
