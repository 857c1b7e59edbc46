import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Log } from '../lib/log.ts';
import { boundedFetch } from '../lib/net/bounded-fetch.ts';
import type { LogLine } from '../runtime/driver.ts';
import { NotServedError } from '../runtime/worker-call.ts';
import { workerTicket } from '../runtime/worker-ticket.ts';
import type { MasterKey } from '../runtime/engine.ts';
import { askWorkers } from './ask-workers.ts';

/**
 * The last lines of the log of a runtime, oldest first, up to the limit. A worker reads them, because the API has no access to
 * what runs instances. Throws AppError `unavailable` when no worker answers. Not for use in a transaction.
 */
export type ReadLog = (em: EntityManager, runtimeId: string, limit: number) => Promise<LogLine[]>;

interface Deps {
  masterKeys: readonly MasterKey[];
  log: Log;
}

/** Longer than a read waits for its turn there. */
const ANSWER_MS = 10_000;
/** The worker reads 256 KiB, which take six times as much as JSON at worst, and a little for each line. */
const MAX_BYTES = 2 * 1024 ** 2;

const logAnswer = z.object({ lines: z.array(z.object({ at: z.string().nullable(), text: z.string() })) });

export function createReadLog({ masterKeys, log }: Deps): ReadLog {
  async function ask(address: string, runtimeId: string, limit: number): Promise<LogLine[]> {
    const { status, text } = await boundedFetch(`${address}/runtimes/${runtimeId}/logs?limit=${limit}`, {
      headers: { authorization: `Bearer ${workerTicket(masterKeys, { kind: 'log', address, subject: runtimeId })}` },
      timeoutMs: ANSWER_MS,
      maxBytes: MAX_BYTES,
    });
    if (status !== 200) throw new Error(`the worker answered ${status}`);
    return logAnswer.parse(JSON.parse(text)).lines;
  }

  return (em, runtimeId, limit) =>
    askWorkers({ em, log, runtimeId, what: 'The log of this instance' }, (address) =>
      ask(address, runtimeId, limit).catch((cause: unknown) => {
        throw new NotServedError('the log was not read', { cause });
      }),
    );
}
