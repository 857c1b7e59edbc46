import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import { createTurnSender } from '../../turns/turn-sender.ts';
import type { FollowedTurn, TurnSender } from '../../turns/turn-sender.ts';
import { createTurnWatches } from '../../turns/watch-turns.ts';
import { GATEWAY_MASTER_KEY } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import type { NewAgent } from '../factories.ts';
import type { NewMessage, TurnsUnderTest } from './turns-under-test.ts';
import { asGateway } from '../support/raw-gateway.ts';

/** The part of an API process that accepts and sends turns. */
export interface ApiUnderTest {
  sender: TurnSender;
  connections: GatewayConnections;
  /** Accepts, commits, kicks and follows, as a message call does. */
  say(instance: NewAgent, message: NewMessage): Promise<{ messageId: string; followed: FollowedTurn }>;
  /** As after SIGKILL: it sends nothing, hears nothing, and has not been seen for eleven seconds. */
  die(): Promise<void>;
  close(): Promise<void>;
}

export async function startApi(turns: TurnsUnderTest, gateway: GatewayUnderTest): Promise<ApiUnderTest> {
  const { deps, orm, notifications } = turns;
  const { log, makeId } = deps;
  const connections = createGatewayConnections({ endpoints: gateway.driver, masterKeys: [GATEWAY_MASTER_KEY], log });
  const lease = createProcessLease({ orm, kind: 'api', makeId, log });
  await lease.start();
  const sender = createTurnSender({ ...deps, connections, lease, notifications });
  const silence = async (): Promise<void> => {
    connections.closeAll();
    await sender.stop();
  };
  return {
    sender,
    connections,
    async say(instance, message) {
      const accepted = await turns.accept(instance, { owner: sender.owner(), claims: true, ...message });
      const { messageId } = accepted;
      sender.send(messageId, accepted);
      return { messageId, followed: sender.follow(messageId) };
    },
    async die() {
      const id = sender.owner();
      await silence();
      await turns.forgetProcess(id);
    },
    async close() {
      await silence();
      await lease.stop();
    },
  };
}

/** The part of a worker that watches one instance, under a new lease of its shard. */
export async function startWatch(
  turns: TurnsUnderTest,
  gateway: GatewayUnderTest,
  instance: NewAgent,
  options: { turnTimeoutMs?: number } = {},
): Promise<{ close(): Promise<void> }> {
  const [shard] = await turns.rows<{ epoch: number }>(
    `update watch_shards set epoch = epoch + 1, owner = 'proc_worker' where shard = 0 returning epoch::float8 as epoch`,
  );
  const watches = createTurnWatches({ ...turns.deps, ...options, notifications: turns.notifications });
  watches.watch({ instanceId: instance.instanceId, shardEpoch: shard!.epoch }).attach(asGateway(await gateway.connect()));
  return { close: () => watches.stop() };
}

/** Waits until the reply that is followed has begun with these words. */
export async function heard({ deltas }: FollowedTurn, words: string): Promise<void> {
  let text = '';
  for await (const piece of deltas) {
    text += piece.text;
    if (text.startsWith(words)) return;
  }
  throw new Error(`The turn ended after: ${text}`);
}

export async function collect(followed: FollowedTurn): Promise<string[]> {
  const pieces: string[] = [];
  for await (const { text } of followed.deltas) pieces.push(text);
  return pieces;
}
