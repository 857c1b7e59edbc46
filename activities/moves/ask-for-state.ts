import { findInstanceServers } from '../../database/processes/process-lease.ts';
import { callWorker, NotServedError } from '../../runtime/worker-call.ts';
import { workerTicket } from '../../runtime/worker-ticket.ts';
import type { StepDeps } from '../steps/step-deps.ts';

const WORKERS_ASKED = 3;

/**
 * What a runtime stores, as a worker of its node sends it; null: nothing is stored. Throws NotServedError when no worker of that
 * node sends it, as while its gateway runs.
 */
export async function askForState(
  { orm, config, log }: Pick<StepDeps, 'orm' | 'config' | 'log'>,
  runtimeId: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer> | null> {
  let cause: unknown = new NotServedError('the node of the instance has no living worker');
  for (const address of await findInstanceServers(orm.em.fork(), runtimeId, WORKERS_ASKED)) {
    try {
      const ticket = workerTicket(config.MASTER_KEYS, { kind: 'state', address, subject: runtimeId });
      const headers = { authorization: `Bearer ${ticket}` };
      const target = `/runtimes/${runtimeId}/state`;
      const response = await callWorker({ address, method: 'GET', target, headers, content: null, signal });
      if (response.headers['content-length'] !== '0') return response;
      response.resume();
      return null;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error, runtimeId }, 'a worker did not send the state of an instance that moves');
      cause = error;
    }
  }
  throw cause;
}
