import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { NOW } from '../sql.ts';

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
export function listTroubles(em: EntityManager): Promise<TroubleView[]> {
  return db(em)
    .selectFrom('ModelTrouble')
    .select(['provider', 'upstream', 'reason', 'since', 'until'])
    .where('until', '>', NOW)
    .execute();
}
