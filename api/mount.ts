import type Router from '@koa/router';
import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../database/run-transaction.ts';

import type { Actor } from './actor.ts';
import type { ClientAddress } from '../lib/client-address.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import { auditCall } from './audit.ts';
import type { Authenticate } from './authenticate.ts';
import type { AnyCall, Operation } from './define-operation.ts';
import type { Deps } from './deps.ts';
import { toEnvelope } from './error-envelope.ts';
import { EventStream } from './event-stream.ts';
import { explainError } from './explain-error.ts';
import type { ReportUndeclared } from './explain-error.ts';
import { parseInput, parseParams } from './parse-input.ts';
import { parseJsonBody, readBody } from './request-body.ts';
import { sendEvents } from './send-events.ts';

export interface Mounting {
  deps: Deps;
  authenticate: Authenticate;
  clientAddress: ClientAddress;
  reportUndeclared: ReportUndeclared;
}

/** Adds the operation's route. */
export function mount(router: Router<ApiState>, operation: Operation, mounting: Mounting): void {
  router.register(operation.path, [operation.method], (context) => serve(context, operation, mounting));
}

/** One request, in the contract's order of checks. */
async function serve(context: ApiContext, operation: Operation, mounting: Mounting): Promise<void> {
  const { deps } = mounting;
  const { requestId } = context.state;
  context.state.operation = operation;
  const actor = await mounting.authenticate(operation.auth, context.req.headers);
  context.state.actor = actor;
  // The rate limit (429) is counted here.
  const bytes = operation.method === 'GET' ? undefined : await readBody(context.req, operation.bodyLimitBytes);
  const body = operation.body && bytes ? parseJsonBody(bytes, context.req.headers) : undefined;
  // A replay of an Idempotency-Key answers here; its record is written in perform().
  const params = parseParams(operation, context.params);
  const input = parseInput(operation, { query: context.URL.searchParams, body });
  const log = deps.log.child({ requestId, ...callerFields(actor) });
  const base = { deps, log, requestId, address: mounting.clientAddress(context.req), actor, params };
  if (!input.ok) {
    await operation.load?.({ ...base, em: deps.orm.em.fork() });
    throw input.error;
  }
  const call = { ...base, query: input.query, body: input.body };
  const answer = await carryOut(operation, call, () => stopSignal(context, deps));
  if (answer instanceof EventStream) await stream(context, answer, mounting);
  else respond(context, operation, answer);
}

function callerFields(actor: Actor): { accountId?: string } {
  return actor?.kind === 'account' ? { accountId: actor.accountId } : {};
}

async function carryOut(operation: Operation, call: AnyCall, signal: () => AbortSignal): Promise<unknown> {
  const { em } = call.deps.orm;
  if (!operation.before && !operation.after) return perform(operation, call, undefined);
  const waiting = { ...call, signal: signal() };
  const prepared = await operation.before?.({ ...waiting, em: em.fork() });
  const handled = await perform(operation, call, prepared);
  return operation.after ? operation.after(handled, { ...waiting, em: em.fork() }) : handled;
}

/** A call that changes something is one transaction with its audit line; a GET needs none. */
function perform(operation: Operation, call: AnyCall, prepared: unknown): Promise<unknown> {
  const { em } = call.deps.orm;
  if (operation.method === 'GET') return loadAndHandle(operation, call, prepared, em.fork());
  return runTransaction(em, async (transaction) => {
    const handled = await loadAndHandle(operation, call, prepared, transaction);
    await auditCall(transaction, operation, call, handled);
    return handled;
  });
}

async function loadAndHandle(operation: Operation, call: AnyCall, prepared: unknown, em: EntityManager) {
  const loaded = await operation.load?.({ ...call, em });
  return operation.handle({ ...call, em, loaded, prepared });
}

/** Aborts when the client is gone or the process stops waiting. */
function stopSignal(context: ApiContext, deps: Deps): AbortSignal {
  const gone = new AbortController();
  context.res.once('close', () => gone.abort());
  return AbortSignal.any([gone.signal, deps.shutdown]);
}

/** The answer through its schema, which drops every field that is not declared. */
function respond(context: ApiContext, operation: Operation, answer: unknown): void {
  const { status, schema, headers = {}, credential } = operation.success;
  const value = schema.parse(answer);
  context.status = status;
  for (const [name, header] of Object.entries(headers)) context.set(name, header.value(value));
  if (credential) context.set('Cache-Control', 'no-store');
  context.type = 'application/json';
  context.body = JSON.stringify(value);
}

/** From here on Koa leaves the response to us. */
async function stream(context: ApiContext, answer: EventStream, mounting: Mounting): Promise<void> {
  const errorEvent = (cause: unknown) => {
    const error = explainError(cause, context.state, mounting.deps.log, mounting.reportUndeclared);
    return JSON.stringify(toEnvelope(error, context.state.requestId));
  };
  context.respond = false;
  try {
    await sendEvents(context.res, answer, { errorEvent });
  } catch (error) {
    context.respond = true;
    throw error;
  }
}
