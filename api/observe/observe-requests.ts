import type Koa from 'koa';
import type { Log } from '../../lib/log.ts';
import type { ApiState } from '../api-context.ts';

export interface RequestMetrics {
  /** One ended request. The operation is `none` where no route took it. */
  observe(request: { operationId: string; status: number; seconds: number }): void;
}

/** Logs and counts each request when its answer has left, or its client has gone. */
export function observeRequests(log: Log, metrics: RequestMetrics): Koa.Middleware<ApiState> {
  return (context, next) => {
    const startedAt = performance.now();
    context.res.once('close', () => {
      const { requestId, operation, actor, errorCode } = context.state;
      const milliseconds = performance.now() - startedAt;
      const operationId = operation?.operationId ?? 'none';
      const { statusCode: status } = context.res;
      metrics.observe({ operationId, status, seconds: milliseconds / 1000 });
      const accountId = actor?.kind === 'account' ? actor.accountId : undefined;
      const aborted = context.res.writableFinished ? undefined : true;
      const ms = Math.round(milliseconds);
      log.info({ requestId, method: context.method, operationId, status, errorCode, accountId, aborted, ms }, 'request');
    });
    return next();
  };
}
