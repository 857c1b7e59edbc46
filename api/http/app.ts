import Router from '@koa/router';
import type { EntityManager } from '@mikro-orm/postgresql';
import Koa from 'koa';
import { AppError } from '../../domain/errors.ts';
import { createClientAddress } from '../../lib/net/client-address.ts';
import type { ApiContext, ApiState } from '../api-context.ts';
import type { ConsoleFiles } from '../console/console-files.ts';
import { consolePages } from '../console/console-pages.ts';
import { createSession } from '../console/create-session.ts';
import { CONSOLE_DOOR, SESSION_DOOR } from '../console/door.ts';
import { endSession } from '../console/end-session.ts';
import { requireConsole } from '../console/require-console.ts';
import { createAdmission } from './admission.ts';
import { answerErrors } from './answer-errors.ts';
import { createAuthentication } from '../security/authenticate.ts';
import { allowOrigins } from './cors.ts';
import { REST_DOOR } from './door.ts';
import type { Operation } from '../contract/define-operation.ts';
import type { Deps } from '../deps.ts';
import type { ReportUndeclared } from './explain-error.ts';
import { docsRoutes } from '../contract/docs-page.ts';
import { healthRoutes } from '../observe/health.ts';
import { createIdempotency } from '../security/idempotency.ts';
import { createLimitRequests } from '../security/limit-requests.ts';
import { mount } from './mount.ts';
import type { Mounting } from './mount.ts';
import { OTHER_DOORS } from '../doors/index.ts';
import type { OpenDoor } from '../doors/index.ts';
import { NOTHING_HERE } from './nothing-here.ts';
import { observeRequests } from '../observe/observe-requests.ts';
import type { RequestMetrics } from '../observe/observe-requests.ts';
import { requireHttp } from './require-http.ts';

export interface AppOptions {
  operations: readonly Operation[];
  metrics: RequestMetrics;
  /** With which readiness asks for the database. */
  healthEm: EntityManager;
  /** The built console; null: there is none to serve. */
  consoleFiles: ConsoleFiles | null;
  /** Tests fail on it; by default it is logged. */
  reportUndeclared?: ReportUndeclared;
}

/** The API as a Koa application: every operation of the list below `/v1`, every other door, and errors for the rest. */
export function createApp(deps: Deps, options: AppOptions): Koa<ApiState> {
  const reportUndeclared: ReportUndeclared =
    options.reportUndeclared ??
    ((operationId, errorCode) =>
      deps.log.error({ operationId, errorCode }, 'an operation returned an error code that it does not declare'));
  const doors: OpenDoor[] = [
    { door: REST_DOOR, operations: options.operations },
    ...OTHER_DOORS,
    { door: CONSOLE_DOOR, operations: options.operations },
    { door: SESSION_DOOR, operations: [createSession, endSession] },
  ];
  const mounting = {
    deps,
    authentication: createAuthentication(deps),
    clientAddress: createClientAddress(deps.config.TRUSTED_PROXIES),
    limitRequests: createLimitRequests(deps),
    admit: createAdmission(deps.config),
    idempotency: createIdempotency(deps),
    reportUndeclared,
  };

  const app = new Koa<ApiState>();
  app.on('error', (err: unknown) => deps.log.debug({ err }, 'a response could not be sent in full'));
  app.use(observeRequests(deps.log, options.metrics));
  app.use(answerErrors(deps, reportUndeclared));
  app.use(requireHttp);
  app.use(chooseDoor(doors));
  app.use(
    allowOrigins(
      deps.config.CORS_ORIGINS,
      doors.map(({ door }) => door),
    ),
  );
  app.use(healthRoutes({ em: options.healthEm, probeTemporal: deps.probeTemporal, draining: deps.shutdown }).routes());
  app.use(docsRoutes(`${REST_DOOR.basePath}/openapi.json`).routes());
  app.use(consolePages(options.consoleFiles));
  app.use(requireConsole);
  for (const open of doors) app.use(routerOf(open, mounting).routes());
  app.use(refuseUnknown);
  return app;
}

/** Errors of paths below its base are told as the door tells them, also where it has no such path. */
function chooseDoor(doors: readonly OpenDoor[]): Koa.Middleware<ApiState> {
  return (context, next) => {
    context.state.door = doors.find(({ door }) => `${context.path}/`.startsWith(`${door.basePath}/`))?.door ?? REST_DOOR;
    context.set(context.state.door.answerHeaders?.(context.state.requestId) ?? {});
    return next();
  };
}

function routerOf({ door, operations }: OpenDoor, mounting: Omit<Mounting, 'door'>): Router<ApiState> {
  const router = new Router<ApiState>({ prefix: door.basePath, sensitive: true });
  for (const operation of operations) mount(router, operation, { ...mounting, door });
  return router;
}

/** What the router has no route for: 405 when the path exists, else 404. */
function refuseUnknown(context: ApiContext & { matched?: readonly { methods: string[] }[] }): never {
  const allowed = [...new Set(context.matched?.flatMap(({ methods }) => methods))].toSorted();
  if (allowed.length === 0) throw new AppError('not_found', NOTHING_HERE);
  context.set('Allow', allowed.join(', '));
  throw new AppError('method_not_allowed', `This path supports only ${allowed.join(', ')}.`);
}
