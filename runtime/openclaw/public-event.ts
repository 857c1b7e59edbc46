import type { GatewayEvent, OfRun } from '../gateway/gateway-events.ts';
import { sessionOf } from './conversation/session-key.ts';
import { messageIdOfRun } from './conversation/turn-key.ts';
import { refusalIn, resultOfEvent } from './conversation/turn-outcome.ts';
import type { GatewayEvent as WireEvent } from './wire/gateway-events.ts';

/** An event of OpenClaw as the rest of the program sees it; null for one that it has no use for. */
export function publicEvent(event: WireEvent): GatewayEvent | null {
  switch (event.kind) {
    case 'cron-job':
      return event;
    case 'cron-run': {
      const { status, error } = event.run;
      return { ...event, refusal: status === 'error' && error !== null ? refusalIn(error) : null };
    }
    case 'session-message':
    case 'shutdown':
      return null;
    case 'run-started':
      return { kind: 'begun', ...runOf(event) };
    case 'delta':
      return { kind: 'said', ...runOf(event), text: event.text };
    case 'tool':
      return { kind: 'tool', ...runOf(event), sign: event.sign, toolsClosed: event.toolsClosed };
    case 'final':
    case 'error':
    case 'aborted':
    case 'media':
    case 'other': {
      const result = resultOfEvent(event);
      return result ? { kind: 'ended', ...runOf(event), result } : { kind: 'active', ...runOf(event) };
    }
  }
}

function runOf({ runId, sessionKey }: { runId: string; sessionKey: string }): OfRun {
  return { runId, messageId: messageIdOfRun(runId), session: sessionOf(sessionKey) };
}
