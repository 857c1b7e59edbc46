import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { changeContent } from '../../api/change-content.ts';
import { requestRestart } from '../../database/instances/lifecycle/request-restart.ts';
import { deleteSecret, storeSecret } from '../../database/content/secrets.ts';
import { secretPlace } from '../../database/secret-place.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { sessionKeyOf } from '../../runtime/openclaw/conversation/session-key.ts';
import { makeId, newAgent } from '../factories.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { connectRaw } from '../support/raw-gateway.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';

/** What the API does to the content of an instance, without the API, and what its agents then see. */
export function contentOf(world: ReconcilerUnderTest, instance: InstanceWithAgent) {
  const { instanceId, accountId, agentId, gatewayAgentId, runtimeId } = instance;
  const { orm, deps } = world;
  const encryption = createEncryption({ masterKeys: deps.config.MASTER_KEYS, randomBytes });
  const change = (work: (em: EntityManager, generation: number) => Promise<void>) =>
    runTransaction(orm.em, async (em) => work(em, await changeContent(em, { accountId, instanceId })));

  let connected: GatewayClient | null = null;
  async function client(): Promise<GatewayClient> {
    if (!connected?.isOpen())
      connected = await connectRaw({ endpoints: deps.driver, masterKeys: deps.config.MASTER_KEYS }, runtimeId);
    return connected;
  }

  return {
    client,
    /** Stores these and deletes those that are null, as one call of the API does. */
    secrets: (secrets: Readonly<Record<string, string | null>>) =>
      change(async (em) => {
        for (const [key, value] of Object.entries(secrets)) {
          if (value === null) await deleteSecret(em, { instanceId, key });
          else {
            const sealed = encryption.encrypt(value, secretPlace({ accountId, instanceId, key }));
            await storeSecret(em, { instanceId, key, value: sealed, now: new Date() });
          }
        }
        await requestRestart(em, { instanceId, now: new Date() });
      }),
    installSkill: (name: string, files: Readonly<Record<string, string>> = {}, requiresEnv: readonly string[] = []) =>
      change(async (em, generation) => {
        const id = world.makeId('skl');
        await em.execute(
          `insert into instance_skills (id, instance_id, name, type, description, requires_env, generation, created_at)
           values (?, ?, ?, ?, 'A skill', array(select jsonb_array_elements_text(?::jsonb)), ?, now())`,
          [id, instanceId, name, Object.keys(files).length > 0 ? 'custom' : 'built-in', JSON.stringify(requiresEnv), generation],
        );
        for (const [path, content] of Object.entries(files))
          await em.execute('insert into skill_files (skill_id, path, content) values (?, ?, ?)', [id, path, content]);
      }),
    deleteSkill: (name: string) =>
      change(async (em) => {
        await em.execute('delete from instance_skills where instance_id = ? and name = ?', [instanceId, name]);
      }),
    /** A new agent of this model; answers its id. */
    async addAgent(model: string): Promise<string> {
      const id = makeId('agt');
      await change(async (em, generation) => {
        const within = { em: { fork: () => em } };
        await newAgent(within, { id, instance: instanceId, account: accountId, model, status: 'pending', generation });
      });
      return id;
    },
    deleteAgent: (id: string) =>
      change(async (em) => {
        await em.execute(`update agents set status = 'deleting', deleted_at = now() where id = ?`, [id]);
      }),
    async statusOfAgent(id: string): Promise<string | undefined> {
      const [row] = await orm.em.fork().execute<{ status: string }[]>('select status from agents where id = ?', [id]);
      return row?.status;
    },
    file: (path: string, content: string | null) =>
      change(async (em, generation) => {
        await em.execute(
          `insert into agent_files (agent_id, path, content, generation, updated_at) values (?, ?, ?, ?, now())
           on conflict (agent_id, path) do update
              set content = excluded.content, generation = excluded.generation, applied = false, seen = false`,
          [agentId, path, content, generation],
        );
      }),
    /** What the agent answers, in one conversation. */
    async ask(message: string, conversation = 'one'): Promise<string> {
      const gateway = await client();
      const key = `msg_${randomBytes(8).toString('hex')}`;
      const answer = new Promise<string>((resolve, reject) => {
        const stop = gateway.onEvent((event) => {
          if (!('runId' in event) || event.runId !== key) return;
          if (event.kind === 'final') resolve(event.text);
          else if (event.kind === 'error') reject(new Error(event.message));
          else return;
          stop();
        });
      });
      await sendTurn(gateway, {
        key,
        agentId: gatewayAgentId,
        sessionKey: sessionKeyOf({ gatewayAgentId, conversationId: conversation }),
        message,
        saidAt: new Date(),
        traceId: randomBytes(16).toString('hex'),
        timeoutSeconds: PATIENCE_MS / 1_000,
      });
      return answer;
    },
    /** What a command prints that the agent runs. */
    async run(command: string): Promise<string> {
      return this.ask(`[[TOOL exec ${JSON.stringify({ command, yieldMs: 120_000 })}]]`);
    },
    async rows(): Promise<{ reason: string | null; content: number; applied: number; files: Record<string, string> }> {
      const [row] = await orm.em.fork().execute<{ reason: string | null; content: number; applied: number }[]>(
        `select reason_code as reason, content_generation::float8 as content, applied_content_generation::float8 as applied
           from instances where id = ?`,
        [instanceId],
      );
      const files = await orm.em
        .fork()
        .execute<{ path: string; content: string }[]>(
          'select path, content from agent_files where agent_id = ? and content is not null',
          [agentId],
        );
      if (!row) throw new Error('there is no such instance');
      return { ...row, files: Object.fromEntries(files.map(({ path, content }) => [path, content])) };
    },
  };
}
