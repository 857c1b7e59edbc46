import type { MikroORM } from '@mikro-orm/postgresql';
import { listenToNotifications } from '../../database/notifications.ts';
import type { Notifications } from '../../database/notifications.ts';
import { createOrm } from '../../database/orm.ts';
import { getTurn } from '../../database/messages/find-turn.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { insertProcess } from '../../database/processes/process-lease.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { systemClock } from '../../lib/async/clock.ts';
import { createLog } from '../../lib/log.ts';
import { acceptTurn } from '../../turns/accept-turn.ts';
import type { AcceptedTurn } from '../../turns/accept-turn.ts';
import { TURN_PAUSES } from '../../turns/turn-deps.ts';
import type { TurnDeps } from '../../turns/turn-deps.ts';
import { makeId, newAgent, newInstance } from '../factories.ts';
import type { NewAgent } from '../factories.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { gateOf, UNCOUNTED } from '../support/gate-of.ts';

export interface NewMessage {
  text?: string;
  sessionId?: string;
  owner?: string;
  /** Lets its owner claim the first attempt with it, as a message call does; else it is accepted and not sent. */
  claims?: boolean;
}

const SOMEBODY = { type: 'user', id: 'u1', name: 'Somebody' };

/** A database with instances, agents and processes in it, and what the code of turns/ is given. */
export interface TurnsUnderTest {
  databaseUrl: string;
  orm: MikroORM;
  deps: TurnDeps;
  notifications: Notifications;
  /** An account with a running instance of this runtime, which it takes from whoever had it, and one active agent. */
  newInstance(fields?: { runtimeId?: string; bootId?: string; gatewayAgentId?: string }): Promise<NewAgent>;
  /** A process that is seen now. */
  newProcess(): Promise<string>;
  /** Lets a process be silent for longer than others wait. */
  forgetProcess(id: string): Promise<void>;
  accept(agent: NewAgent, message?: NewMessage): Promise<AcceptedTurn>;
  turn(messageId: string): Promise<TurnView>;
  /** The turn once it has ended. */
  end(messageId: string, withinMs?: number): Promise<TurnView>;
  rows<T>(sql: string, params?: unknown[]): Promise<T[]>;
  /** Has the database refuse to store this reply. */
  refuse(content: string): Promise<void>;
  /** The events of a turn. */
  events(messageId: string): Promise<{ type: string; content: string | null; error_code: string | null }[]>;
  close(): Promise<void>;
}

export async function openTurns(
  options: Partial<Pick<TurnDeps, 'turnTimeoutMs' | 'maxStoredBytes'>> = {},
): Promise<TurnsUnderTest> {
  const database = await createTestDatabase();
  const orm = await createOrm(database.url);
  const log = createLog('test', process.env['TEST_LOG_LEVEL'] ?? 'silent');
  const notifications = listenToNotifications(database.url, log);
  const deps: TurnDeps = {
    orm,
    makeId,
    clock: systemClock,
    log,
    turnTimeoutMs: 600_000,
    maxStoredBytes: 1024 ** 4,
    pauses: TURN_PAUSES,
    masterKeys: [{ id: 'test', key: Buffer.alloc(32, 7) }],
    ...options,
  };
  const rows = <T>(sql: string, params: unknown[] = []): Promise<T[]> => orm.em.fork().execute<T[]>(sql, params);
  const run = async (sql: string, params: unknown[] = []): Promise<void> =>
    void (await orm.em.fork().execute(sql, params, 'run'));
  const turn = async (messageId: string): Promise<TurnView> => {
    const found = await getTurn(orm.em.fork(), messageId);
    if (!found) throw new Error('There is no such turn');
    return found;
  };

  return {
    databaseUrl: database.url,
    orm,
    deps,
    notifications,
    async newInstance({ runtimeId = makeId('run'), bootId = 'boot-1', gatewayAgentId = makeId('agt') } = {}) {
      await run('update instances set runtime_id = id, boot_id = null where runtime_id = ?', [runtimeId]);
      await run('update agents set gateway_agent_id = id where gateway_agent_id = ?', [gatewayAgentId]);
      const { instanceId, accountId } = await newInstance(orm, { runtimeId, bootId });
      return newAgent(orm, { instance: instanceId, account: accountId, slug: 'helper', gatewayAgentId });
    },
    async newProcess() {
      const id = makeId('proc');
      await insertProcess(orm.em.fork(), { id, kind: 'api', address: null });
      // It lives as long as the test, however slow that is.
      await run(`update processes set seen_at = 'infinity' where id = ?`, [id]);
      return id;
    },
    forgetProcess: (id) => run(`update processes set seen_at = now() - interval '11 seconds' where id = ?`, [id]),
    accept: ({ instanceId, agentId }, { text = 'Hello', sessionId = '', owner = 'proc_nobody', claims = false } = {}) =>
      runTransaction(orm.em, async (em) => {
        const said = { instanceId, agentId, sessionId, text, ...UNCOUNTED, sender: SOMEBODY, owner, makeId, now: systemClock() };
        const accepted = await acceptTurn(em, await gateOf(em, { instanceId, agentId }), said);
        if (claims || !accepted.claim) return accepted;
        await em.execute('update messages set attempt = 0, sent_at = null where id = ?', [accepted.messageId], 'run');
        return { ...accepted, claim: null };
      }),
    turn,
    end: (messageId, withinMs = PATIENCE_MS) =>
      eventually(async () => {
        const found = await turn(messageId);
        if (found.status === 'pending') throw new Error('The turn has not ended');
        return found;
      }, withinMs),
    rows,
    async refuse(content) {
      await run(
        `create or replace function refuse_reply() returns trigger language plpgsql as
           $$ begin raise exception 'this reply is refused'; end $$`,
      );
      const name = makeId('evt');
      await run(
        `create trigger "${name}" before update on messages for each row when (new.content = '${content}')
           execute function refuse_reply()`,
      );
    },
    events: (messageId) => rows('select type, content, error_code from events where message_id = ?', [messageId]),
    async close() {
      await notifications.close();
      await orm.close();
      await database.drop();
    },
  };
}
