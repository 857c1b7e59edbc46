import type { MikroORM } from '@mikro-orm/postgresql';
import { deleteProcess, insertProcess, renewProcess } from '../database/processes/process-lease.ts';
import type { MakeId } from '../domain/ids.ts';
import type { Log } from '../lib/log.ts';

export interface ProcessLease {
  /** The id under which this process owns things; null while it may own nothing: it could not renew for 8 s, or has not begun. */
  id(): string | null;
  /** Resolves when the first id is there; rejects when the database does not give one. */
  start(): Promise<void>;
  /** Gives everything back: others take over at once. */
  stop(): Promise<void>;
}

interface Deps {
  orm: MikroORM;
  kind: 'api' | 'worker';
  /** Where a worker serves logs. */
  address?: string;
  /** The node whose gateways a worker runs. */
  nodeId?: number | null;
  makeId: MakeId;
  log: Log;
}

const RENEW_MS = 3_000;
/** By this process's monotonic clock, from when the renewal was begun. Other processes wait two seconds longer. */
const TRUSTED_MS = 8_000;

/** Shows the others that this process lives, for as long as it can. After a silence it comes back under a new id. */
export function createProcessLease({ orm, kind, address, nodeId, makeId, log }: Deps): ProcessLease {
  let held: { id: string; since: number } | null = null;
  let timer: NodeJS.Timeout | undefined;
  let renewal: Promise<void> = Promise.resolve();

  const isTrusted = (lease: { since: number }): boolean => performance.now() - lease.since < TRUSTED_MS;

  async function renew(): Promise<void> {
    const since = performance.now();
    const em = orm.em.fork();
    if (held && isTrusted(held) && (await renewProcess(em, held.id))) {
      held = { id: held.id, since };
      return;
    }
    const lost = held?.id ?? null;
    held = null;
    const id = makeId('proc');
    await insertProcess(em, { id, kind, address: address ?? null, nodeId: nodeId ?? null });
    held = { id, since };
    if (lost !== null) log.warn({ lost, id }, 'the lease of this process expired; other processes take over its turns');
    await deleteProcess(em, lost);
  }

  function renewSoon(): void {
    timer = setTimeout(() => {
      renewal = renew()
        .catch((err: unknown) => log.warn({ err }, 'could not renew the lease of this process'))
        .finally(() => {
          if (timer) renewSoon();
        });
    }, RENEW_MS);
  }

  return {
    id: () => (held && isTrusted(held) ? held.id : null),
    async start() {
      await renew();
      renewSoon();
    },
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await renewal;
      const last = held?.id ?? null;
      held = null;
      if (last !== null) await deleteProcess(orm.em.fork(), last);
    },
  };
}
