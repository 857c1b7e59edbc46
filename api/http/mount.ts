import type Router from '@koa/router';
import { z } from 'zod';
import type { KeyPlace } from '../../database/accounts/idempotency.ts';
import { AppError } from '../../domain/errors.ts';
import type { ErrorDetail } from '../../domain/errors.ts';
import { actFor } from '../../lib/async/acting-for.ts';
import type { ClientAddress } from '../../lib/net/client-address.ts';
import type { Actor } from '../security/actor.ts';
import { AcceptedAnswer } from './accepted-answer.ts';
import type { Admit, Visit } from './admission.ts';
import type { ApiContext, ApiState } from '../api-context.ts';
import type { Authentication } from '../security/authenticate.ts';
import { carryOut, replay } from './carry-out.ts';
import type { Outcome } from './carry-out.ts';
import type { Operation } from '../contract/define-operation.ts';
import type { Deps } from '../deps.ts';
import type { Door } from './door.ts';
import { CookieAnswer } from './cookie-answer.ts';
import { EventStream } from './event-stream.ts';
import { explainError } from './explain-error.ts';
import type { ReportUndeclared } from './explain-error.ts';
import { callerName, isIdempotencyKey } from '../security/idempotency.ts';
import type { Idempotency } from '../security/idempotency.ts';
import type { LimitRequests } from '../security/limit-requests.ts';
import { requireOwnInstance, requireScope } from '../security/require-scope.ts';
import { parseInput, parseParams } from '../contract/parse-input.ts';
import { FileAnswer, sendFile } from './file-answer.ts';
import { receiveBody, receiveUpload } from './receive-body.ts';
import { parseJsonBody } from './request-body.ts';
import { sendEvents } from './send-events.ts';

/** Says that an earlier call with the same Idempotency-Key has done the work. */
export const REPLAYED_HEADER = 'Idempotent-Replayed';

export interface Mounting {
  deps: Deps;
  door: Door;
  authentication: Authentication;
  clientAddress: ClientAddress;
  limitRequests: LimitRequests;
  admit: Admit;
  idempotency: Idempotency;
  reportUndeclared: ReportUndeclared;
}

/** Adds the operation's route; the router has the base path of the door. */
export function mount(router: Router<ApiState>, operation: Operation, mounting: Mounting): void {
  const path = operation.rest ? operation.path.replace(/:(\w+)$/, '*$1') : operation.path;
  router.register(path, [operation.method], (context) => serve(context, operation, mounting));
}

/** One request, in the contract's order of checks. */
async function serve(context: ApiContext, operation: Operation, mounting: Mounting): Promise<void> {
  context.state.operation = operation;
  context.state.door = mounting.door;
  const address = mounting.clientAddress(context.req);
  const visit = mounting.admit(address);
  try {
    const actor = await admitCaller(context, operation, mounting, { address, visit });
    const serving = () => serveCaller(context, operation, mounting, { actor, address, visit });
    await (actor?.kind === 'account' ? actFor(actor.accountId, serving) : serving());
  } finally {
    visit.leave();
  }
}

/**
 * Who makes the call, once it has its turn among the calls of its account. A call whose account is known from the ones before
 * waits, or is refused, before the database is asked for its credential.
 */
async function admitCaller(
  context: ApiContext,
  operation: Operation,
  { authentication, door, limitRequests }: Mounting,
  { address, visit }: Omit<Caller, 'actor'>,
): Promise<Actor> {
  const waits = operation.before !== undefined || operation.after !== undefined;
  const claim = authentication.readClaim(door, operation.auth, context.req.headers);
  if (claim.accountId !== null) {
    limitRequests.refuseUsedUp(context, operation, claim.accountId);
    await visit.enter(claim.accountId, { waits });
  }
  const actor = await claim.confirm(address);
  context.state.actor = actor;
  requireScope(operation, actor);
  await limitRequests.count(context, operation, { actor, address });
  requireOwnInstance(actor, pathParams(context));
  if (actor?.kind === 'account') await visit.enter(actor.accountId, { waits });
  return actor;
}

interface Caller {
  actor: Actor;
  address: string;
  visit: Visit;
}

async function serveCaller(context: ApiContext, operation: Operation, mounting: Mounting, caller: Caller): Promise<void> {
  const { deps, idempotency } = mounting;
  const { requestId } = context.state;
  const { actor, address, visit } = caller;
  const log = deps.log.child({ requestId, ...callerFields(actor) });
  const lastEventId = z.string().optional().parse(context.req.headers['last-event-id']);
  const known = { deps, log, requestId, address, actor, lastEventId, headers: context.req.headers };
  const { place, problem } = readKey(context, operation, mounting.door, actor);

  /** A replay answers even when its resource is gone. */
  const requireResource = async (): Promise<void> => {
    const em = deps.orm.em.fork();
    if (place && (await idempotency.knows(em, place))) return;
    await operation.load?.({ ...known, params: parseParams(operation, context.params), em });
  };
  const receiving = { request: context.req, operation, visit, requireResource };
  const upload = await receiveUpload(receiving);
  context.res.once('finish', () => upload?.discard());
  const bytes = await receiveBody(receiving);
  const body = operation.body && bytes ? await parseJsonBody(bytes, context.req.headers) : undefined;
  // A body that is not looked at makes no difference.
  const fingerprint = upload ? () => upload.digest() : () => (operation.body && bytes) ?? Buffer.alloc(0);
  const keyed = place && { place, body: fingerprint };
  if (upload && place && (await idempotency.knows(deps.orm.em.fork(), place))) await visit.pause(() => upload.skim());
  const isRead = !upload || upload.isRead();
  const recorded = keyed && isRead ? await idempotency.find(deps.orm.em.fork(), keyed) : null;
  if (recorded?.isFinal) return answer(context, operation, { answer: recorded.value, isReplay: true }, mounting);

  const base = { ...known, upload, params: parseParams(operation, context.params) };
  const input = parseInput(operation, { query: context.querystring, body }, problem);
  if (!input.ok) {
    await operation.load?.({ ...base, em: deps.orm.em.fork() });
    throw input.error;
  }
  const call = { ...base, query: input.query, body: input.body };
  context.set(operation.answerHeaders?.(call) ?? {});
  const work = { operation, call, keyed, idempotency, visit, signal: () => stopSignal(context, deps) };
  const outcome = recorded
    ? await replay(work, recorded).catch((error: unknown) => markReplayed(context, error))
    : await carryOut(work);
  await answer(context, operation, outcome, mounting);
}

/** A replay of a failed turn always answers the same error. Any other error belongs to this call alone. */
function markReplayed(context: ApiContext, error: unknown): never {
  if (error instanceof AppError && error.code === 'agent_error') context.set(REPLAYED_HEADER, 'true');
  throw error;
}

interface ReadKey {
  place: KeyPlace | null;
  /** The problem with an invalid key, reported with those of the other fields; empty when the key is valid or not used. */
  problem: ErrorDetail[];
}

function readKey(context: ApiContext, operation: Operation, door: Door, actor: Actor): ReadKey {
  const key = context.req.headers['idempotency-key'];
  if (!operation.idempotent || typeof key !== 'string') return { place: null, problem: [] };
  if (!isIdempotencyKey(key))
    return { place: null, problem: [{ path: 'Idempotency-Key', message: 'Use 1 to 255 printable ASCII characters.' }] };
  const path = concretePath(door, operation, pathParams(context));
  return { place: { caller: callerName(actor, operation), method: operation.method, path, key }, problem: [] };
}

function pathParams(context: ApiContext): Record<string, string> {
  return z.record(z.string(), z.string()).parse(context.params);
}

/** The path as it is meant, in whichever of its spellings it was sent. */
function concretePath({ basePath }: Door, { path }: Operation, params: Readonly<Record<string, string>>): string {
  return basePath + path.replaceAll(/:(\w+)/g, (_match, name: string) => encodeURIComponent(params[name] ?? ''));
}

function callerFields(actor: Actor): { accountId?: string } {
  return actor?.kind === 'account' ? { accountId: actor.accountId } : {};
}

/** Aborts when the client is gone or the process stops waiting. */
function stopSignal(context: ApiContext, deps: Deps): AbortSignal {
  const gone = new AbortController();
  context.res.once('close', () => gone.abort());
  return AbortSignal.any([gone.signal, deps.shutdown]);
}

async function answer(context: ApiContext, operation: Operation, outcome: Outcome, mounting: Mounting): Promise<void> {
  if (outcome.isReplay) context.set(REPLAYED_HEADER, 'true');
  if (outcome.answer instanceof FileAnswer) {
    context.respond = false;
    await sendFile(context.res, outcome.answer, context.method === 'HEAD');
  } else if (outcome.answer instanceof EventStream) await stream(context, operation, outcome.answer, mounting);
  else if (outcome.answer instanceof AcceptedAnswer) {
    respond(context, operation, outcome.answer.value);
    context.status = 202;
    context.set('Location', outcome.answer.location);
  } else if (outcome.answer instanceof CookieAnswer) {
    respond(context, operation, outcome.answer.value);
    context.set('Set-Cookie', outcome.answer.cookie);
  } else respond(context, operation, outcome.answer);
}

/** The answer through its schema, which drops every field that is not declared. */
function respond(context: ApiContext, operation: Operation, answered: unknown): void {
  const { status, schema, headers = {}, credential } = operation.success;
  const value = schema.parse(answered);
  context.status = status;
  for (const [name, header] of Object.entries(headers)) context.set(name, header.value(value));
  if (credential) context.set('Cache-Control', 'no-store');
  context.type = 'application/json';
  context.body = JSON.stringify(value);
}

/** From here on Koa leaves the response to us. A stream ends soon after its key or token was revoked. */
async function stream(context: ApiContext, operation: Operation, events: EventStream, mounting: Mounting): Promise<void> {
  const errorEvent = (cause: unknown) => {
    const error = explainError(cause, context.state, mounting.deps.log, mounting.reportUndeclared);
    return JSON.stringify(mounting.door.answerError(error, context.state.requestId).body);
  };
  const requireAllowed = async () => {
    try {
      const claim = mounting.authentication.readClaim(mounting.door, operation.auth, context.req.headers);
      await claim.confirm(mounting.clientAddress(context.req));
    } catch (error) {
      if (error instanceof AppError && error.code === 'unauthorized') throw error;
    }
  };
  // A HEAD has the headers of the stream and no stream.
  if (context.method === 'HEAD') {
    context.type = 'text/event-stream';
    context.status = 200;
    return;
  }
  context.respond = false;
  try {
    await sendEvents(context.res, events, { errorEvent, errorEventName: mounting.door.errorEventName, requireAllowed });
  } catch (error) {
    context.respond = true;
    throw error;
  }
}
