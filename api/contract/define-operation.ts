import type { IncomingHttpHeaders } from 'node:http';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import type { ErrorCode } from '../../domain/errors.ts';
import type { KeyScope } from '../../domain/access/key-scopes.ts';
import type { Log } from '../../lib/log.ts';
import type { Actor, ActorOf, Auth } from '../security/actor.ts';
import type { Deps } from '../deps.ts';
import type { AcceptedAnswer } from '../http/accepted-answer.ts';
import type { CookieAnswer } from '../http/cookie-answer.ts';
import type { EventStream } from '../http/event-stream.ts';
import type { FileAnswer } from '../http/file-answer.ts';
import type { Upload } from '../http/upload.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Tag =
  | 'auth'
  | 'instances'
  | 'agents'
  | 'files'
  | 'messages'
  | 'crons'
  | 'events'
  | 'webhooks'
  | 'skills'
  | 'secrets'
  | 'billing'
  | 'operator'
  | 'meta';

/** What an audit line says about its object. Null fields are left empty; null instead of it all writes no line. */
export interface AuditSubject {
  target?: string | null;
  instanceId?: string | null;
  /** Only where the actor is no account. */
  accountId?: string | null;
}

export interface OperationHeader<Answer> {
  description: string;
  value(answer: Answer): string;
}

/** What is fixed about an operation, without its functions. */
export interface OperationFacts {
  method: Method;
  /** Below the base path, with `:name` for parameters: `/auth/keys/:keyId`. */
  path: string;
  operationId: string;
  summary: string;
  description?: string;
  tag: Tag;
  auth: Auth;
  /** What an API key with limits needs to call it: set exactly where accounts call. */
  scope?: KeyScope | undefined;
  /** A key of one instance may call it although its path names none: it answers for that instance only. */
  keyOfInstance?: true;
  /** A key with limits may not call it. */
  wholeAccount?: true;
  /** The action that the audit records for each success, or `none`. */
  audit: string;
  /** `auth` counts per address, `account` per account. */
  rateLimit: 'account' | 'auth' | 'none';
  /** Whether an `Idempotency-Key` is honoured: every authenticated call that changes something. */
  idempotent: boolean;
  bodyLimitBytes?: number;
  /** Its body is bytes of any kind, which `before` reads as they come. */
  upload?: true;
  /** The last parameter of the path is the rest of it, slashes included. */
  rest?: true;
  /**
   * It makes what the account stores grow: refused with `payload_too_large` while that is all that it may store. `handle`: that
   * function refuses it, because it knows how much that is.
   */
  stores?: true | 'handle';
  /** The codes it may answer beside the standing ones (`standing-errors.ts`). */
  errors: readonly ErrorCode[];
}

/** What the document says of an answer of bytes. */
interface AnsweredFile {
  /** A media range where it depends on the file. */
  mediaType: string;
  /** `Range` and `If-None-Match` are honoured. */
  hasParts: boolean;
}

/** What every function of an operation gets. */
interface CallBase {
  deps: Deps;
  log: Log;
  requestId: string;
  address: string;
  /** The header `Last-Event-ID`, which a client of server-sent events sends when it connects again. */
  lastEventId: string | undefined;
  /** For headers that few operations know. */
  headers: IncomingHttpHeaders;
  /** The body of an operation that takes an upload. */
  upload?: Upload | undefined;
}

/** The call as the mounting sees it; each operation sees its own types. */
export interface AnyCall extends CallBase {
  actor: Actor;
  params: unknown;
  query: unknown;
  body: unknown;
}

interface WithEm {
  em: EntityManager;
}

/** Outside the transaction. The signal aborts when the client is gone or the process stops waiting. */
interface Waiting extends WithEm {
  signal: AbortSignal;
}

/** One endpoint, as the mounting, the document and the contract tests see it. `defineOperation` makes it. */
export interface Operation extends OperationFacts {
  params?: z.ZodObject | undefined;
  query?: z.ZodObject | undefined;
  body?: z.ZodType | undefined;
  success: {
    status: 200 | 201;
    schema: z.ZodType;
    headers?: Record<string, OperationHeader<unknown>>;
    credential?: boolean;
    stream?: boolean | 'only';
    accepts?: true;
    file?: AnsweredFile;
  };
  load?(call: CallBase & WithEm & { actor: Actor; params: unknown }): Promise<unknown>;
  before?(call: AnyCall & Waiting): Promise<unknown>;
  undo?(prepared: unknown, call: AnyCall): Promise<void>;
  handle(call: AnyCall & WithEm & { loaded: unknown; prepared: unknown }): Promise<unknown>;
  auditSubject?(handled: unknown, params: unknown): AuditSubject | null;
  answerHeaders?(call: AnyCall): Record<string, string>;
  after?(handled: unknown, call: AnyCall & Waiting): Promise<unknown>;
  replay?(handled: unknown, call: AnyCall & Waiting): Promise<unknown>;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

interface Call<A extends Auth, P, Q, B> extends CallBase {
  actor: ActorOf<A>;
  params: Parsed<P>;
  query: Parsed<Q>;
  body: Parsed<B>;
}

/** An operation of accounts states the scope that it needs. */
type ScopeOf<A extends Auth> = A extends 'account' ? { scope: KeyScope } : { scope?: never };

interface Spec<A extends Auth, P, Q, B, S extends z.ZodType, Loaded, Prepared, Handled> extends OperationFacts {
  auth: A;
  params?: P;
  query?: Q;
  body?: B;
  success: {
    status: 200 | 201;
    schema: S;
    headers?: Record<string, OperationHeader<z.output<S>>>;
    /** The answer carries a credential: `Cache-Control: no-store`. */
    credential?: boolean;
    /** `after` may answer with an EventStream; `only`: it always does, and `schema` is that of each event. */
    stream?: boolean | 'only';
    /** `after` may answer with an AcceptedAnswer. */
    accepts?: true;
    /** `after` always answers with a FileAnswer, and `schema` says nothing. */
    file?: AnsweredFile;
  };
  /**
   * Finds what the path names, or throws `not_found`, which wins over `invalid_request`. It runs in the transaction
   * of `handle`; when the rest of the input is not valid it runs alone, for its error only.
   */
  load?(call: CallBase & WithEm & { actor: ActorOf<A>; params: Parsed<P> }): Promise<Loaded>;
  /**
   * What must be known, waited for or done outside of the database first: outside the transaction, and again when the call is
   * repeated.
   */
  before?(call: Call<A, P, Q, B> & Waiting): Promise<Prepared>;
  /** Takes back what `before` has done, when the call is refused or turns out to have been carried out by another one. */
  undo?(prepared: Prepared, call: Call<A, P, Q, B>): Promise<void>;
  /**
   * The work. A call that changes something runs in one transaction with its audit line, and may run again after a
   * deadlock, so nothing here reaches outside the database. A GET has no transaction.
   */
  handle(call: Call<A, P, Q, B> & WithEm & { loaded: Loaded; prepared: Prepared }): Promise<Handled>;
  /** By default the last parameter of the path is the target, and `instanceId` the instance. */
  auditSubject?(handled: Handled, params: Parsed<P>): AuditSubject | null;
  /** Headers that follow from the call alone, on every answer to one that could be read. */
  answerHeaders?(call: Call<A, P, Q, B>): Record<string, string>;
}

interface Finished<A extends Auth, P, Q, B, S extends z.ZodType, Handled> {
  /**
   * What happens after the commit, outside a transaction: send, stream, wait, or refuse although something had to be
   * stored. It makes the answer from what `handle` returned, which must survive JSON. A repeated call with the same
   * Idempotency-Key runs it again for as long as no answer of it is stored.
   */
  after(handled: Handled, call: Call<A, P, Q, B> & Waiting): Promise<Answered<S>>;
  /** Answers every repeated call with the same Idempotency-Key, instead of `after` and of a stored answer. */
  replay?(handled: Handled, call: Call<A, P, Q, B> & Waiting): Promise<Answered<S>>;
}

type Answered<S extends z.ZodType> = z.input<S> | EventStream | AcceptedAnswer | CookieAnswer | FileAnswer;

/** Makes an endpoint out of its facts, schemas and functions: without `after`, what `handle` returns is the answer. */
export function defineOperation<
  A extends Auth,
  S extends z.ZodType,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  Loaded = undefined,
  Prepared = undefined,
>(spec: Spec<A, P, Q, B, S, Loaded, Prepared, z.input<S>> & ScopeOf<A> & { after?: never; replay?: never }): Operation;
export function defineOperation<
  A extends Auth,
  S extends z.ZodType,
  Handled,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  Loaded = undefined,
  Prepared = undefined,
>(spec: Spec<A, P, Q, B, S, Loaded, Prepared, Handled> & ScopeOf<A> & Finished<A, P, Q, B, S, Handled>): Operation;
export function defineOperation(spec: Operation): Operation {
  return spec;
}
