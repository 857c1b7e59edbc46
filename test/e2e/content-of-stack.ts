import { readFile, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { MikroORM } from '@mikro-orm/postgresql';
import { holds } from '../../activities/content/content-drift.ts';
import { openSecrets } from '../../activities/content/open-secrets.ts';
import { skillTree, wantedSkills } from '../../activities/content/skill-content.ts';
import { loadGatewayContent } from '../../database/content/gateway-content.ts';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { readSkills } from '../../runtime/openclaw/content/skill-liveness.ts';
import { gatewayToken } from '../../runtime/openclaw/install/tokens.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { untilStatus } from '../support/patient-client.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { asGateway } from '../support/raw-gateway.ts';

export interface BothSides {
  /** What the database says, and what is inside the instance. */
  wanted: unknown;
  found: unknown;
}

export interface RunningRow {
  runtimeId: string;
  bootId: string | null;
  contentGeneration: number;
  restartGeneration: number;
  /** Why the instance is not, or was not, as it should be. */
  reason: string | null;
  isSettled: boolean;
}

/** Whether the instance runs and nothing is left to do. */
export async function settled(orm: MikroORM, instanceId: string): Promise<RunningRow | null> {
  const [row] = await orm.em.fork().execute<RunningRow[]>(
    `select runtime_id as "runtimeId", boot_id as "bootId", content_generation::float8 as "contentGeneration",
            restart_generation::float8 as "restartGeneration", reason_code as reason,
            status = 'running' and transition_kind is null and boot_id is not null and content_generation = applied_content_generation
            and restart_generation = applied_restart_generation as "isSettled"
       from instances where id = ?`,
    [instanceId],
  );
  return row?.isSettled ? row : null;
}

/** Waits until that is so, and starts the instance again when it has given up. */
export async function untilSettled(orm: MikroORM, account: ApiClient, instanceId: string): Promise<RunningRow> {
  return eventually(async () => {
    const row = await settled(orm, instanceId);
    if (row) return row;
    await untilStatus(account, instanceId, 'running');
    throw new Error('It runs, and what it holds is not settled');
  });
}

export async function connectTo({ driver, masterKey }: StackUnderTest, runtimeId: string): Promise<GatewayClient> {
  const endpoint = await driver.endpoint(runtimeId);
  if (!endpoint) throw new Error('no gateway runs');
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return connectGateway({ wsUrl: endpoint.wsUrl, token: gatewayToken(masterKey, runtimeId), signal, timeoutMs: PATIENCE_MS });
}

/**
 * Agents, secrets with their values, skills with their bits, and files, as they are wanted and as they are. Throws when
 * the gateway is not the one that its row names: its death is not in the row yet.
 */
export async function bothSides(
  stack: StackUnderTest,
  orm: MikroORM,
  { instanceId, runtimeId, bootId }: { instanceId: string; runtimeId: string; bootId: string | null },
): Promise<BothSides> {
  const content = await loadGatewayContent(orm.em.fork(), instanceId);
  const paths = stack.driver.paths(runtimeId);
  const client = await connectTo(stack, runtimeId);
  try {
    if (client.bootId !== bootId) throw new Error('another gateway process runs');
    const files = await orm.em.fork().execute<{ name: string; path: string; content: string }[]>(
      `select gateway_agent_id as name, path, content from agent_files join agents on agents.id = agent_id
        where instance_id = ? and deleted_at is null and content is not null and path like 'notes/%' order by 1, 2`,
      [instanceId],
    );
    const [agent] = content.agents;
    const { bundled, custom } = wantedSkills(content);
    const wanted = {
      holds: true,
      shown: [...bundled, ...custom].toSorted(),
      secrets: Object.fromEntries(openSecrets({ config: { MASTER_KEYS: [stack.masterKey] } }, content)),
      skills: [...skillTree(content)].map(([path, file]) => [path, file.content.toString(), file.executable]).toSorted(byText),
      files: files.map(({ name, path, content: text }) => [`${name}/${path}`, text]).toSorted(byText),
    };
    // The gateway's own answer has this form.
    const { entries } = (await client.request('secrets.store.list', {})) as { entries: { name: string; value: string }[] };
    const shown = agent ? await readSkills(client, agent.gatewayAgentId) : { bundled, custom };
    const found = {
      holds: await holds(asGateway(client), content, AbortSignal.timeout(PATIENCE_MS)),
      shown: [...shown.bundled, ...shown.custom].toSorted(),
      secrets: Object.fromEntries(entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, value }) => [name, value])),
      skills: (await tree(join(paths.stateDir, 'skills')))
        .map(({ path, text, isExecutable }) => [path, text, isExecutable])
        .toSorted(byText),
      files: (
        await Promise.all(
          content.agents.map(async ({ gatewayAgentId }) => {
            const workspace = paths.workspaceOf(gatewayAgentId);
            return (await tree(join(workspace, 'notes'), workspace)).map(({ path, text }) => [`${gatewayAgentId}/${path}`, text]);
          }),
        )
      )
        .flat()
        .toSorted(byText),
    };
    return { wanted, found };
  } finally {
    client.close();
  }
}

function byText(one: readonly unknown[], other: readonly unknown[]): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}

async function tree(root: string, base = root): Promise<{ path: string; text: string; isExecutable: boolean }[]> {
  const names = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const file = join(entry.parentPath, entry.name);
        return {
          path: relative(base, file),
          text: await readFile(file, 'utf8'),
          isExecutable: ((await stat(file)).mode & 0o111) !== 0,
        };
      }),
  );
}
