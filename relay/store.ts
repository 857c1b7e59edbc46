import { Pool } from 'pg';
import { z } from 'zod';
import { BUDGET_PERIODS } from '../domain/money/budgets.ts';
import type { NamedBudget } from '../domain/money/budgets.ts';
import { shareConnections } from '../lib/async/fair-connections.ts';
import type { Canaries } from '../lib/crypto/key-canary.ts';
import type { Log } from '../lib/log.ts';
import type { Target } from '../lib/settings/models.ts';
import type { OpenCircuit } from './routes/circuit.ts';
import type { Usage } from './usage-tap.ts';

/** An agent that exists, and whom it belongs to. */
export interface RelayAgent {
  agentId: string;
  instanceId: string;
  accountId: string;
  /** The public id of its model. */
  model: string;
  /** Whether its instance runs, or is on its way there or from there. */
  isRunning: boolean;
  /** Whether its account has money left. */
  hasMoney: boolean;
  /** Which gateway process its token is for, as the token names it. */
  gatewayEpoch: number | null;
}

export interface CallReservation {
  agent: RelayAgent;
  /** Names the message whose turn makes the call. Null, or unknown: a scheduled job or a repeated turn. */
  traceId: string | null;
  /** The most that the call may use. */
  inputTokens: number;
  outputTokens: number;
  /** After so long a sweep of the worker counts what was reserved. */
  keptMs: number;
}

/** The id of a call that was written down, or the budget that has no room for it. */
export type Reservation = { id: string } | { id: null; refusedBy: NamedBudget };

export interface CallEnd extends Usage {
  /** In OpenAI's words; null when the provider did not say. */
  finishReason: string | null;
  /** Who answered; null when nothing came. */
  from: Target | null;
}

export interface RelayStore {
  /** Null when there is no such agent, or no more. */
  findAgent(agentId: string): Promise<RelayAgent | null>;
  /** Whether it is an agent of a gateway that no instance has yet. */
  isSpare(agentId: string): Promise<boolean>;
  /** Writes down what a call may use, before it goes out, unless a budget has no room for it. */
  reserve(call: CallReservation): Promise<Reservation>;
  /** Puts what the call used in place of what was reserved. A second time changes nothing. */
  settle(id: string, end: CallEnd): Promise<void>;
  /** Writes down that a provider fails for a model, or, with null, forgets it. */
  noteTrouble(target: Target, open: OpenCircuit | null): Promise<void>;
  /** Forgets a call that used nothing. */
  release(id: string): Promise<void>;
  /** The proofs of the relay keys that the database was used with. */
  findCanaries(): Promise<Canaries>;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const CONNECTIONS = 5;
const OF_ACCOUNT = { atOnce: 4, shared: 1 };
/** A connection that is kept is asked for a sign of life so often, so that no firewall takes it for dead. */
const KEEP_ALIVE_MS = 10_000;
/** The end of every answer waits for a write, so a database that hangs must not hold it for long. */
const PATIENCE_MS = 3_000;

const canaryRow = z.object({ key_id: z.string(), sealed: z.string() });
const agentRow = z.object({
  id: z.string(),
  instance_id: z.string(),
  account_id: z.string(),
  model: z.string(),
  is_running: z.boolean(),
  has_money: z.boolean(),
  gateway_epoch: z.number().nullable(),
});
const reservedRow = z.union([
  z.object({ id: z.string() }),
  z.object({ id: z.null(), refused_by: z.string(), budget_name: z.string(), budget_period: z.enum(BUDGET_PERIODS) }),
]);

/** The relay's few statements, on a separate pool of connections. Every call rejects after a few seconds without an answer. */
export function createRelayStore(databaseUrl: string, log: Log): RelayStore {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: 'thermidora-relay',
    max: CONNECTIONS,
    // They are kept while nothing happens: to open one takes longer than all else that a call adds to its provider's time.
    idleTimeoutMillis: 0,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
    // What is given up here must not be done later: a reservation that is never settled counts in full.
    statement_timeout: PATIENCE_MS,
  });
  shareConnections(pool, { ...OF_ACCOUNT, patienceMs: PATIENCE_MS });
  // An idle connection that breaks would otherwise end the process.
  pool.on('error', (err) => log.warn({ err }, 'a connection to the database broke'));
  return {
    async findAgent(agentId) {
      const { rows } = await planned(
        pool,
        'find_agent',
        `select agents.id, instance_id, agents.account_id, model,
                instances.status not in ('stopped', 'error') as is_running,
                balance_nano_usd > (select coalesce(sum(cost_nano_usd), 0) from token_charges where account_id = accounts.id) as has_money,
                gateway_epoch::float8 as gateway_epoch
           from agents join instances on instances.id = instance_id join accounts on accounts.id = agents.account_id
          where agents.id = $1 and agents.deleted_at is null`,
        [agentId],
      );
      if (rows.length === 0) return null;
      const row = agentRow.parse(rows[0]);
      const { id, instance_id: instanceId, account_id: accountId, model } = row;
      const state = { isRunning: row.is_running, hasMoney: row.has_money, gatewayEpoch: row.gateway_epoch };
      return { agentId: id, instanceId, accountId, model, ...state };
    },
    async isSpare(agentId) {
      const { rows } = await pool.query(
        'select from spare_agents join runtimes on runtimes.id = runtime_id where spare_agents.id = $1 and instance_id is null',
        [agentId],
      );
      return rows.length > 0;
    },
    async reserve({ agent, traceId, inputTokens, outputTokens, keptMs }) {
      const { rows } = await planned(
        pool,
        'reserve_model_call',
        `select call_id as id, refused_by, budget_name, budget_period from reserve_model_call($1, $2, $3, $4, $5, $6, $7, $8, null)`,
        [agent.accountId, agent.instanceId, agent.agentId, traceId, agent.model, inputTokens, outputTokens, keptMs],
      );
      const row = reservedRow.parse(rows[0]);
      if (row.id !== null) return { id: row.id };
      return { id: null, refusedBy: { budgetId: row.refused_by, name: row.budget_name, period: row.budget_period } };
    },
    settle: (id, end) => settle(pool, id, end),
    noteTrouble: (target, open) => noteTrouble(pool, target, open),
    async release(id) {
      await pool.query('delete from open_model_calls where id = $1', [id]);
    },
    async findCanaries() {
      const { rows } = await pool.query('select key_id, relay_sealed as sealed from key_canaries where relay_sealed is not null');
      return Object.fromEntries(rows.map((row) => canaryRow.parse(row)).map(({ key_id, sealed }) => [key_id, sealed]));
    },
    async ping() {
      await pool.query('select 1');
    },
    close: () => pool.end(),
  };
}

/** What is asked with every call: the database keeps its plan on each connection, under this name. */
async function planned(pool: Pool, name: string, text: string, values: unknown[]): Promise<{ rows: unknown[] }> {
  return pool.query({ name, text, values });
}

async function settle(pool: Pool, id: string, { finishReason, from, ...used }: CallEnd): Promise<void> {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens } = used;
  await planned(pool, 'settle_model_call', 'select settle_model_call($1, $2, $3, $4, $5, $6, $7, $8, $9, null)', [
    ...[id, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens],
    ...[finishReason, from?.provider ?? null, from?.upstream ?? null],
  ]);
}

async function noteTrouble(pool: Pool, { provider, upstream }: Target, open: OpenCircuit | null): Promise<void> {
  if (!open) {
    await pool.query('delete from model_troubles where provider = $1 and upstream = $2', [provider, upstream]);
    return;
  }
  await pool.query(
    `insert into model_troubles as known (provider, upstream, reason, since, until)
     values ($1, $2, $3, now(), now() + $4 * interval '1 ms')
     on conflict (provider, upstream) do update
        set reason = excluded.reason, until = excluded.until,
            since = case when known.until > now() - interval '1 minute' then known.since else excluded.since end`,
    [provider, upstream, open.reason, open.forMs],
  );
}
