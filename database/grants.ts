/** What a process may do with a table: the privileges as GRANT takes them. */
export type Grants = Readonly<Record<string, string>>;

const READ = 'select';
const ADD = 'select, insert';
const CHANGE = 'select, insert, update';
const ALL = 'select, insert, update, delete';

/**
 * What each process may do in the database: what its statements need, and nothing else. A row is locked by who may update
 * it. What a table loses here, a process of the version before may still need: take it away a version after its last use.
 */
export const GRANTS = {
  api: {
    accounts: CHANGE,
    agent_files: CHANGE,
    agents: CHANGE,
    api_keys: CHANGE,
    audit_entries: ADD,
    conversations: CHANGE,
    cron_jobs: ALL,
    event_counters: CHANGE,
    event_occurrences: ADD,
    events: ADD,
    gateway_refusals: ALL,
    idempotency_records: CHANGE,
    installation: 'select, update',
    instance_secrets: ALL,
    instance_skills: 'select, insert, delete',
    instances: CHANGE,
    invites: CHANGE,
    key_canaries: CHANGE,
    login_codes: CHANGE,
    messages: CHANGE,
    model_calls: READ,
    outbox: ADD,
    prices: READ,
    processes: ALL,
    rate_windows: CHANGE,
    requester_login_codes: ALL,
    runtime_intervals: CHANGE,
    skill_files: ADD,
    stored_bytes: READ,
    stored_bytes_changes: READ,
    transfers: ADD,
    unowned_runtimes: 'select, update, delete',
    watch_shards: READ,
    webhook_attempts: READ,
    webhook_deliveries: CHANGE,
    webhooks: CHANGE,
  },
  worker: {
    accounts: 'select, update',
    agent_files: ALL,
    agents: 'select, update, delete',
    api_keys: 'select, delete',
    audit_entries: 'select, insert, delete',
    conversations: 'select, update, delete',
    cron_jobs: ALL,
    event_counters: CHANGE,
    event_occurrences: 'select, insert, delete',
    events: ALL,
    gateway_refusals: ALL,
    idempotency_records: 'select, delete',
    installation: 'select, update',
    instance_secrets: 'select, delete',
    instance_skills: 'select, update, delete',
    instances: 'select, update, delete',
    key_canaries: CHANGE,
    messages: ALL,
    model_calls: 'select, insert, delete',
    open_model_calls: 'select, update, delete',
    outbox: ALL,
    prices: ADD,
    processes: ALL,
    rate_windows: 'select, delete',
    runtime_intervals: CHANGE,
    skill_files: READ,
    stored_bytes: CHANGE,
    stored_bytes_changes: 'select, update, delete',
    transfers: ADD,
    unowned_runtimes: ALL,
    watch_shards: 'select, update',
    webhook_attempts: ADD,
    webhook_deliveries: ALL,
    webhooks: 'select, update, delete',
  },
  relay: {
    accounts: 'select (id, balance_nano_usd)',
    agents: 'select (id, instance_id, account_id, model, deleted_at)',
    instances: 'select (id, status, gateway_epoch)',
    key_canaries: 'select (key_id, relay_sealed)',
    messages: 'select (id, agent_id, trace_id)',
    model_calls: 'insert',
    open_model_calls: 'select, insert, delete',
  },
} as const satisfies Record<string, Grants>;

export type RoleName = keyof typeof GRANTS;
