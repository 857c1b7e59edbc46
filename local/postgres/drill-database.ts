import { Client } from 'pg';
import { z } from 'zod';

const chosen = z.object({
  accountId: z.string(),
  tokenVersion: z.number(),
  instanceId: z.string(),
  agentId: z.string(),
});

/** The agent that the restore drill asks, and its account. */
export type DrillAgent = z.infer<typeof chosen>;

const CHOOSE = `
select accounts.id as "accountId", accounts.token_version as "tokenVersion", instances.id as "instanceId", agents.id as "agentId"
  from agents join instances on instances.id = agents.instance_id join accounts on accounts.id = instances.account_id
 where agents.deleted_at is null and instances.deleted_at is null and instances.desired_status <> 'destroyed'
 order by instances.desired_status = 'running' desc, agents.status = 'active' desc, agents.created_at desc limit 1`;

/** The copy sends no webhooks, and runs one instance, so that it fits beside the installation that it was copied from. */
const ISOLATE = [
  'update webhooks set enabled = false',
  `update instances set desired_status = 'stopped', power_generation = power_generation + 1
    where id <> $1 and desired_status = 'running' and deleted_at is null`,
  `update instances set desired_status = 'running', status = 'provisioning', power_generation = power_generation + 1, start_not_before = null
    where id = $1 and desired_status <> 'running'`,
];

/** Picks one agent of a restored database, null when it has none, and isolates the copy before anything of it runs. */
export async function chooseForDrill(databaseUrl: string): Promise<DrillAgent | null> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query(CHOOSE);
    const agent = rows.length === 0 ? null : chosen.parse(rows[0]);
    for (const statement of ISOLATE) await client.query(statement, statement.includes('$1') ? [agent?.instanceId ?? ''] : []);
    return agent;
  } finally {
    await client.end();
  }
}
