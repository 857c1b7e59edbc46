import { z } from 'zod';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { changedMetadata, changeMetadata } from '../../contract/metadata.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams, agentWithFiles, presentAgent } from './agent.schema.ts';
import { readFiles } from './read-files.ts';
import { renamedIdentity } from './renamed-identity.ts';
import { awaitApplied } from './await-applied.ts';
import { changedFiles, changeFiles, FILES_BODY_LIMIT_BYTES } from './workspace.ts';

/** A field that must not be sent. It is refused rather than ignored, so that the client does not take it for changed. */
const immutable = (name: string) =>
  z
    .never({ error: `The ${name} cannot be changed. Create a new agent instead.` })
    .optional()
    .meta({ description: `The ${name} cannot be changed after creation.` });

export const updateAgent = defineOperation({
  method: 'PATCH',
  path: '/instances/:instanceId/agents/:agentId',
  operationId: 'agents.update',
  summary: 'Update the names, the metadata or the workspace files of an agent',
  description:
    'Only the given files change; the others stay as they are, but for an IDENTITY.md that is still the default one: it gets a new display name. On a running instance, the call returns once the next message uses the change.',
  tag: 'agents',
  auth: 'account',
  scope: 'write',
  audit: 'agents.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  bodyLimitBytes: FILES_BODY_LIMIT_BYTES,
  params: agentParams,
  body: z.object({
    name: nameField.optional(),
    displayName: nameField.optional(),
    files: changedFiles.default({}),
    metadata: changedMetadata.optional(),
    model: immutable('model'),
    slug: immutable('slug'),
  }),
  success: { status: 200, schema: agentWithFiles },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    return findAgent(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, body, actor, em, deps }) {
    const owned = { accountId: actor.accountId, ...params };
    if (body.metadata) await changeMetadata(em, 'agents', params.agentId, body.metadata);
    const changes = Object.entries(body.files);
    const isNothing = body.name === undefined && body.displayName === undefined && changes.length === 0;
    if (isNothing) return { ...owned, generation: 0 };
    // The lock makes the files that are merged here the latest ones.
    const generation = await changeContent(em, owned);
    const agent = await findAgent(em, owned);
    const renamed =
      body.displayName === undefined || 'IDENTITY.md' in body.files ? [] : await renamedIdentity(em, agent, body.displayName);
    agent.name = body.name ?? agent.name;
    agent.displayName = body.displayName ?? agent.displayName;
    await changeFiles(em, agent, { changes: [...renamed, ...changes], generation, deps });
    return { ...owned, generation };
  },

  async after(changed, { em, deps, signal }) {
    await awaitApplied(deps, changed, signal);
    const agent = await findAgent(em, changed);
    return { ...presentAgent(agent), files: Object.fromEntries(await readFiles(deps, em, agent)) };
  },
});
