import { randomBytes } from 'node:crypto';
import { sendTurn } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import { turnKey } from '../../../runtime/openclaw/conversation/turn-key.ts';
import { resultOfEvent } from '../../../runtime/openclaw/conversation/turn-outcome.ts';
import type { Recovery, SendResult } from '../../../runtime/gateway/turn-results.ts';
import type { TurnRequest } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import type { TurnResult } from '../../../runtime/gateway/turn-results.ts';
import type { GatewayClient, GatewayEvent } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery } from '../../../runtime/openclaw/conversation/recovery.ts';
import { sessionKeyOf } from '../../../runtime/openclaw/conversation/session-key.ts';
import { eventually } from '../../support/eventually.ts';
import { AGENT } from '../../support/gateway-program.ts';

/** Another one of the gateways under test. */
export const OTHER_AGENT = `other-${AGENT}`;

/** A turn of a conversation of AGENT; its key is of this test file alone. */
export function turnOf(conversationId: string, messageId: string, message: string, attempt = 1): TurnRequest {
  return {
    key: turnKey(`${messageId}-${AGENT}`, attempt),
    agentId: AGENT,
    sessionKey: sessionKeyOf({ gatewayAgentId: AGENT, conversationId }),
    message,
    saidAt: new Date(),
    traceId: randomBytes(16).toString('hex'),
    timeoutSeconds: 600,
  };
}

export interface Sent {
  first: SendResult;
  /** What the gateway's second answer said. */
  result: Promise<TurnResult>;
}

export async function send(client: GatewayClient, turn: TurnRequest): Promise<Sent> {
  const { promise: result, resolve } = Promise.withResolvers<TurnResult>();
  const first = await sendTurn(client, turn, { onResult: resolve });
  return { first, result };
}

/** Collects what a connection says, and waits for how runs end. */
export function listen(client: GatewayClient) {
  const events: GatewayEvent[] = [];
  client.onEvent((event) => void events.push(event));
  const of = (runId: string) => events.filter((event) => 'runId' in event && event.runId === runId);
  return {
    events,
    of,
    endOf: (runId: string): Promise<TurnResult> =>
      eventually(() => {
        const end = of(runId)
          .map(resultOfEvent)
          .find((result) => result !== null);
        if (!end) throw new Error(`The run ${runId} has not ended`);
        return end;
      }),
    seen: (runId: string, is: (event: GatewayEvent) => boolean): Promise<GatewayEvent> =>
      eventually(() => {
        const found = of(runId).find(is);
        if (!found) throw new Error(`The run ${runId} has not come so far: ${JSON.stringify(of(runId))}`);
        return found;
      }),
  };
}

export interface TakenUp {
  end: Recovery;
  /** What was decided on the way, each once, in order. */
  steps: string[];
}

/** What a start step does with one pending turn: the recipe, until the turn has ended. */
export async function takeUp(client: GatewayClient, turn: TurnRequest): Promise<TakenUp> {
  const heard = listen(client);
  const steps: string[] = [];
  let current = turn;
  let attempt = 1;
  const note = (step: string): void => void (steps.includes(step) || steps.push(step));
  // How often a gateway refuses on the way depends on the machine.
  return eventually(async () => {
    const history = await readHistory(client, { sessionKey: turn.sessionKey, keys: [current.key] });
    const decision = decideRecovery(history, current.key);
    note(decision.kind);
    switch (decision.kind) {
      case 'resend-new':
      case 'resend-same': {
        if (decision.kind === 'resend-new') current = { ...turn, key: turnKey(turn.key, (attempt += 1)) };
        const { first, result } = await send(client, current);
        const end = first.kind === 'done' || first.kind === 'refused' ? first : await result;
        if (end.kind === 'done' && end.outcome.kind !== 'failed') return { end: asRecovery(end), steps };
        // The gateway may have repeated the turn first; a failure counts only when the history says so too.
        note(end.kind === 'refused' ? end.why : 'failed');
        break;
      }
      case 'running':
        return { end: asRecovery(await heard.endOf(decision.runKey)), steps };
      case 'wait':
        break;
      default:
        return { end: decision, steps };
    }
    throw new Error(`It comes to no end: ${steps.join(', ')}`);
  });
}

function asRecovery(result: TurnResult): Recovery {
  if (result.kind === 'refused') throw new Error(`The gateway refused: ${result.message}`);
  const { outcome } = result;
  return outcome.kind === 'completed' ? { ...outcome, kind: 'finished' } : outcome;
}
