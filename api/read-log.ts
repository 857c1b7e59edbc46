import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { findLogServers } from '../database/processes/process-lease.ts';
import { AppError } from '../domain/errors.ts';
import type { Log } from '../lib/log.ts';
import { boundedFetch } from '../lib/net/bounded-fetch.ts';
import type { LogLine } from '../runtime/driver.ts';
import { logTicket } from '../runtime/log-ticket.ts';
import type { MasterKey } from '../runtime/engine.ts';

/**
 * The last lines of the log of a runtime, oldest first, at most so many. A worker reads them, because this process holds
 * nothing that runs instances. Throws AppError `unavailable` when no worker answers. Not for use in a transaction.
 */
export type ReadLog = (em: EntityManager, runtimeId: string, limit: number) => Promise<LogLine[]>;

interface Deps {
  masterKeys: readonly MasterKey[];
  log: Log;
}

const WORKERS_ASKED = 3;
/** Longer than a read waits for its turn there. */
const ANSWER_MS = 10_000;
/** The worker reads 256 KiB, which take six times as much as JSON at worst, and a little for each line. */
const MAX_BYTES = 2 * 1024 ** 2;
const RETRY_AFTER_SECONDS = 5;

const logAnswer = z.object({ lines: z.array(z.object({ at: z.string().nullable(), text: z.string() })) });

/** Asks the workers that live, one after the other, until one has answered. */
export function createReadLog({ masterKeys, log }: Deps): ReadLog {
  async function ask(address: string, runtimeId: string, limit: number): Promise<LogLine[]> {
    const { status, text } = await boundedFetch(`${address}/runtimes/${runtimeId}/logs?limit=${limit}`, {
      headers: { authorization: `Bearer ${logTicket(masterKeys, { address, runtimeId })}` },
      timeoutMs: ANSWER_MS,
      maxBytes: MAX_BYTES,
    });
    if (status !== 200) throw new Error(`the worker answered ${status}`);
    return logAnswer.parse(JSON.parse(text)).lines;
  }

  return async function readLog(em, runtimeId, limit) {
    let cause: unknown;
    for (const address of await findLogServers(em, WORKERS_ASKED)) {
      try {
        return await ask(address, runtimeId, limit);
      } catch (error) {
        log.warn({ err: error, runtimeId }, 'a worker did not answer with the log of an instance');
        cause = error;
      }
    }
    throw new AppError('unavailable', 'The log of this instance cannot be read at the moment. Try again in a few seconds.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause,
    });
  };
}
