import type { EntityManager } from '@mikro-orm/postgresql';
import { AppError } from '../../domain/errors.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { Visit } from './admission.ts';
import { auditCall } from '../observe/audit.ts';
import type { AnyCall, Operation } from '../contract/define-operation.ts';
import { EventStream } from './event-stream.ts';
import type { Idempotency, KeyedCall, Recorded } from '../security/idempotency.ts';
import { requireStorage } from '../security/require-storage.ts';

export interface Work {
  operation: Operation;
  call: AnyCall;
  /** Null where the call has no Idempotency-Key. */
  keyed: KeyedCall | null;
  idempotency: Idempotency;
  visit: Pick<Visit, 'pause' | 'endWork'>;
  /** Makes a signal that aborts when the client does not wait for the answer any longer. */
  signal: () => AbortSignal;
}

export interface Outcome {
  answer: unknown;
  /** The work was done by an earlier call with the same key. */
  isReplay: boolean;
}

/** Does the work of a call, once for its key, and answers what came of it. */
export async function carryOut(work: Work): Promise<Outcome> {
  const { operation, call, visit } = work;
  const { em } = call.deps.orm;
  const prepared =
    operation.before && (await visit.pause(async () => operation.before?.({ ...call, signal: work.signal(), em: em.fork() })));
  const performed = await perform(work, prepared).catch(async (error: unknown) => {
    visit.endWork();
    // After any other error the transaction may have been committed all the same.
    if (error instanceof AppError) await operation.undo?.(prepared, call);
    throw error;
  });
  visit.endWork();
  if ('recorded' in performed) {
    await operation.undo?.(prepared, call);
    return replay(work, performed.recorded);
  }
  if (!operation.after) return { answer: performed.handled, isReplay: false };
  return { answer: await finish(work, performed.handled), isReplay: false };
}

/** The answer of a call whose work was done before. Throws what the operation answers now when there is none. */
export async function replay(work: Work, { value, isFinal }: Recorded): Promise<Outcome> {
  const { operation, call } = work;
  if (isFinal) return { answer: value, isReplay: true };
  work.visit.endWork();
  if (!operation.replay) return { answer: await finish(work, value), isReplay: true };
  const { em } = call.deps.orm;
  return { answer: await operation.replay(value, { ...call, signal: work.signal(), em: em.fork() }), isReplay: true };
}

type Performed = { handled: unknown } | { recorded: Recorded };

/** A call that changes something is one transaction with its audit line and its record; a GET needs none. */
function perform({ operation, call, keyed, idempotency }: Work, prepared: unknown): Promise<Performed> {
  const { em } = call.deps.orm;
  if (operation.method === 'GET') return loadAndHandle(operation, call, prepared, em.fork());
  return runTransaction(em, async (transaction) => {
    const recorded = keyed && (await idempotency.hold(transaction, keyed));
    if (recorded) return { recorded };
    const { handled } = await loadAndHandle(operation, call, prepared, transaction);
    await auditCall(transaction, operation, call, handled);
    if (keyed) await idempotency.record(transaction, keyed, { value: handled, isFinal: !operation.after });
    return { handled };
  });
}

async function loadAndHandle(operation: Operation, call: AnyCall, prepared: unknown, em: EntityManager) {
  const loaded = await operation.load?.({ ...call, em });
  if (operation.stores === true && call.actor?.kind === 'account')
    await requireStorage(em, call.actor.accountId, call.deps.config);
  return { handled: await operation.handle({ ...call, em, loaded, prepared }) };
}

/** What follows the commit. An answer that was cut short because the client went away is not stored as the final one. */
async function finish({ operation, call, keyed, idempotency, signal: makeSignal }: Work, handled: unknown): Promise<unknown> {
  const { em } = call.deps.orm;
  const signal = makeSignal();
  const answer = await operation.after?.(handled, { ...call, signal, em: em.fork() });
  if (!keyed || operation.replay || signal.aborted || answer instanceof EventStream) return answer;
  // The work is committed. When its answer cannot be stored, a repeated call only has to make the answer again.
  await idempotency
    .finish(em.fork(), keyed, answer)
    .catch((err: unknown) => call.log.warn({ err }, 'a response could not be stored for its Idempotency-Key'));
  return answer;
}
