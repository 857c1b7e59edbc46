import Router from '@koa/router';
import type { EntityManager } from '@mikro-orm/postgresql';
import { remembered } from '../../lib/async/remembered.ts';
import type { ApiState } from '../api-context.ts';
import type { ProbeTemporal } from './probe-temporal.ts';
import { fetchRow } from '../../database/rows.ts';
import { sql } from '../../database/sql.ts';

const PATIENCE_MS = 2_000;
/** The endpoint is public and has no rate limit, so its answer is kept for this long. */
const REMEMBERED_MS = 1_000;

export interface HealthOptions {
  em: EntityManager;
  probeTemporal: ProbeTemporal;
  /** Aborts when the process begins to drain. */
  draining: AbortSignal;
}

async function isDatabaseUp(em: EntityManager): Promise<boolean> {
  try {
    await fetchRow(em.fork(), {}, () => sql`select`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    return true;
  } catch {
    return false;
  }
}

/** `/livez`: the process answers. `/readyz`: send it requests. Temporal is only mentioned: the API works without it. */
export function healthRoutes({ em, probeTemporal, draining }: HealthOptions): Router<ApiState> {
  const look = remembered(REMEMBERED_MS, () => Promise.all([isDatabaseUp(em), probeTemporal()]));
  const router = new Router<ApiState>({ sensitive: true });
  router.get('/livez', (context) => {
    context.body = { status: 'ok' };
  });
  router.get('/readyz', async (context) => {
    const [databaseUp, temporal] = await look();
    const ready = databaseUp && !draining.aborted;
    context.status = ready ? 200 : 503;
    context.set('Cache-Control', 'no-store');
    context.body = {
      status: ready ? 'ready' : 'unavailable',
      database: databaseUp ? 'up' : 'down',
      temporal,
      draining: draining.aborted,
    };
  });
  return router;
}
