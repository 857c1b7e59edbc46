import { expect } from '@jest/globals';
import { recoverTurns } from '../../turns/recover-turns.ts';
import type { NewAgent } from '../factories.ts';
import type { FollowedTurn } from '../../turns/turn-sender.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import { asGateway } from '../support/raw-gateway.ts';
import { startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

/** An instance whose gateway dies and is started again, with the API that sends its turns. */
export interface InstanceToRecover {
  agent: NewAgent;
  api: ApiUnderTest;
  say(text: string, sessionId: string): Promise<{ messageId: string; followed: FollowedTurn }>;
  /** Says what the control plane notes of the instance meanwhile. */
  set(assignment: string): Promise<number>;
  /** What the control plane does once the gateway is gone: starts it again, takes the turns up, publishes, watches. */
  recover(onReady?: () => Promise<unknown>): Promise<void>;
  expectOneReply(messageId: string, content: unknown): Promise<void>;
  /** Nothing of this turn, which was ended, is at work in the gateway any more. */
  stopped(messageId: string): Promise<void>;
  /** How it is counted: how often it was handed to a gateway, and in how many deaths it was in flight. */
  countsOf(messageId: string): Promise<{ attempt: number; deaths: number }>;
  close(): Promise<void>;
}

/** Gives the gateway, which runs, a new instance. */
export async function instanceToRecover(turns: TurnsUnderTest, gateway: GatewayUnderTest): Promise<InstanceToRecover> {
  const { bootId } = await gateway.connect();
  const agent = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
  const { instanceId } = agent;
  const api = await startApi(turns, gateway);
  let watch: { close(): Promise<void> } | null = null;

  async function set(assignment: string): Promise<number> {
    const [row] = await turns.rows<{ epoch: number }>(
      `update instances set ${assignment} where id = ? returning epoch::float8 as epoch`,
      [instanceId],
    );
    return row!.epoch;
  }
  const rowOf = async (messageId: string) => {
    const [row] = await turns.rows<{ attempt: number; deaths: number; abort_due: boolean }>(
      'select attempt, deaths, abort_due from messages where id = ?',
      [messageId],
    );
    return row!;
  };

  return {
    agent,
    api,
    set,
    say: (text, sessionId) => api.say(agent, { text, sessionId }),
    async recover(onReady) {
      await watch?.close();
      const epoch = await set(`boot_id = null, status = 'provisioning', transition_kind = 'recovering', epoch = epoch + 1`);
      await gateway.start();
      await onReady?.();
      const client = await gateway.connect();
      const recovery = { gateway: asGateway(client), instanceId, epoch, signal: AbortSignal.timeout(PATIENCE_MS) };
      await recoverTurns(turns.deps, recovery);
      // A step that is repeated changes nothing.
      await recoverTurns(turns.deps, recovery);
      await set(`boot_id = '${client.bootId}', status = 'running', transition_kind = null`);
      watch = await startWatch(turns, gateway, agent);
    },
    async expectOneReply(messageId, content) {
      expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content });
      expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content, error_code: null }]);
    },
    stopped: (messageId) => eventually(async () => expect(await rowOf(messageId)).toMatchObject({ abort_due: false })),
    async countsOf(messageId) {
      const { attempt, deaths } = await rowOf(messageId);
      return { attempt, deaths };
    },
    async close() {
      await Promise.all([watch?.close(), api.close()]);
    },
  };
}
