import type Koa from 'koa';
import type { Actor } from './security/actor.ts';
import type { Operation } from './contract/define-operation.ts';
import type { Door } from './http/door.ts';

/** What the middlewares of one request tell each other. */
export interface ApiState {
  requestId: string;
  operation?: Operation;
  door?: Door;
  actor?: Actor;
  /** The code of the error that was answered. */
  errorCode?: string;
}

export type ApiContext = Koa.ParameterizedContext<ApiState>;
