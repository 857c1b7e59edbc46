import { randomBytes } from 'node:crypto';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';

/** In milliseconds from the moment at which it was said. */
export interface TurnTimes {
  firstTokenMs: number;
  answerMs: number;
}

/** A gateway works on for a moment after it has answered, and would make the next turn wait for that. */
export const IDLE_MS = 250;

/** One turn straight over this connection to a gateway: the baseline of everything that answers. */
export async function bareTurn(client: GatewayClient, gatewayAgentId: string, message: string): Promise<TurnTimes> {
  const startedAt = performance.now();
  const key = randomBytes(10).toString('hex');
  let firstTokenMs = Number.NaN;
  const done = new Promise<number>((resolve) => {
    const stop = client.onEvent((event) => {
      if (!('runId' in event) || event.runId !== key) return;
      if (event.kind === 'delta' && Number.isNaN(firstTokenMs)) firstTokenMs = performance.now() - startedAt;
      if (event.kind !== 'final') return;
      stop();
      resolve(performance.now() - startedAt);
    });
  });
  const { kind } = await sendTurn(client, {
    key,
    agentId: gatewayAgentId,
    // No conversation of ours: the worker would read its history after each turn, and the gateway would have it at hand for the next one.
    sessionKey: `agent:${gatewayAgentId}:bench:straight`,
    message,
    saidAt: new Date(),
    traceId: randomBytes(16).toString('hex'),
    timeoutSeconds: 60,
  });
  if (kind === 'refused' || kind === 'lost') throw new Error(`The bare gateway did not take the turn: ${kind}`);
  return { answerMs: await done, firstTokenMs };
}
