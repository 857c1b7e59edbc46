import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { campaignRounds, createDice } from '../support/campaign.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { startWebhookReceiver } from '../support/webhook-receiver.ts';
import type { WebhookReceiver } from '../support/webhook-receiver.ts';
import { startWebhooks } from '../support/webhooks-under-test.ts';
import type { WebhooksUnderTest } from '../support/webhooks-under-test.ts';

const ROUNDS = campaignRounds();
const EVENTS = 200;
const MAIN = join(import.meta.dirname, '../delivering/main.ts');

let webhooks: WebhooksUnderTest;
let receiver: WebhookReceiver;
let child: ChildProcess | null = null;

beforeAll(async () => {
  webhooks = await startWebhooks();
  receiver = await startWebhookReceiver();
});
afterAll(async () => {
  await kill();
  await receiver.close();
  await webhooks.close();
});

async function start(): Promise<void> {
  const { databaseUrl, temporal, masterKey } = webhooks.options;
  const env = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    MASTER_KEY: masterKey.toString('base64'),
  };
  child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout!, 'data');
}

async function kill(): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test(
  'every committed event reaches every endpoint at least once, whenever the worker is killed',
  async () => {
    const dice = createDice('webhook kills');
    const accountId = await webhooks.newAccount();
    const paths = ['/fast', '/slow', '/flaky'];
    receiver.behave('/slow', (response) => void setTimeout(() => response.end('ok'), 40));
    let requests = 0;
    receiver.behave('/flaky', (response) => void response.writeHead((requests += 1) % 7 === 0 ? 500 : 200).end());
    for (const path of paths) await webhooks.newWebhook(accountId, `${receiver.url}${path}`);
    const recorded = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      await start();
      const moment = dice.below(EVENTS);
      let killing = Promise.resolve();
      for (let event = 0; event < EVENTS; event += 1) {
        recorded.add((await webhooks.record(accountId)).eventId);
        if (event === moment) killing = sleep(dice.below(100)).then(kill);
      }
      // One that comes late must not meet the next process.
      await killing;
      await kill();
    }
    await start();
    // What failed waits for its retry; nobody has to wait for that here.
    await eventually(async () => {
      await webhooks.sql(
        `update webhook_deliveries set next_attempt_at = now() where status = 'pending' and next_attempt_at > now() returning id`,
      );
      for (const path of paths) expect(receiver.eventsAt(path).size).toBe(recorded.size);
      const [left] = await webhooks.sql<{ count: number }>(
        `select count(*)::int as count from webhook_deliveries where status <> 'succeeded'`,
      );
      expect(left?.count).toBe(0);
    });
    for (const path of paths) expect(receiver.eventsAt(path)).toEqual(recorded);
    const [numbers] = await webhooks.sql<{ count: number; first: number; last: number }>(
      'select count(distinct seq)::int as count, min(seq)::int as first, max(seq)::int as last from events where account_id = ?',
      [accountId],
    );
    expect(numbers).toEqual({ count: recorded.size, first: 1, last: recorded.size });
    const doubles = receiver.received.length - paths.length * recorded.size;
    process.stderr.write(
      `webhook kills: ${ROUNDS} rounds, ${recorded.size} events x ${paths.length} endpoints, ${receiver.received.length} requests (${doubles} repeated or refused), none lost, no gap\n`,
    );
  },
  TEST_LIMIT_MS * ROUNDS,
);
