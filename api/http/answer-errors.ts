import type Koa from 'koa';
import type { AppError } from '../../domain/errors.ts';
import type { Deps } from '../deps.ts';
import type { ApiContext, ApiState } from '../api-context.ts';
import { REST_DOOR } from './door.ts';
import { explainError } from './explain-error.ts';
import type { ReportUndeclared } from './explain-error.ts';
import { ClientGoneError } from './request-body.ts';

const SANE_REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The first middleware: gives each request its id and turns whatever is thrown into the error body of its door. */
export function answerErrors(deps: Pick<Deps, 'log' | 'makeId'>, reportUndeclared: ReportUndeclared): Koa.Middleware<ApiState> {
  return async (context, next) => {
    const given = context.get('X-Request-Id');
    const requestId = SANE_REQUEST_ID.test(given) ? given : deps.makeId('req');
    context.state.requestId = requestId;
    context.set('X-Request-Id', requestId);
    try {
      await next();
    } catch (cause) {
      if (cause instanceof ClientGoneError) return;
      answer(context, explainError(cause, context.state, deps.log, reportUndeclared));
    }
  };
}

function answer(context: ApiContext, error: AppError): void {
  // Half an answer is out already: cutting the connection is all that is left to tell.
  if (context.res.headersSent) {
    context.respond = false;
    context.res.destroy();
    return;
  }
  const { door = REST_DOOR, requestId } = context.state;
  const { status, headers = {}, body } = door.answerError(error, requestId);
  context.status = status;
  context.remove('Cache-Control');
  context.remove('Location');
  if (error.code === 'unauthorized') context.set('WWW-Authenticate', 'Bearer realm="thermidora"');
  if (error.retryAfterSeconds !== undefined) context.set('Retry-After', String(Math.ceil(error.retryAfterSeconds)));
  context.set(headers);
  context.type = 'application/json';
  context.body = JSON.stringify(body);
}
