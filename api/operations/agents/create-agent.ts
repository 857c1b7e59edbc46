import { z } from 'zod';
import { defaultFiles } from '../../../runtime/engine.ts';
import { modelNamed, offersTo } from '../../../lib/settings/models.ts';
import type { ModelSettings } from '../../../lib/settings/models.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { newMetadata } from '../../contract/metadata.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { agentSchema, presentAgent, slugField } from './agent.schema.ts';
import { addAgent } from './add-agent.ts';
import { awaitApplied } from './await-applied.ts';
import { FILES_BODY_LIMIT_BYTES, newFiles, requireWorkspace } from './workspace.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

export const createAgent = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents',
  operationId: 'agents.create',
  summary: 'Create an agent',
  description:
    'On a running instance, the call returns once the agent accepts messages. Otherwise the agent is created in the gateway at the next start.',
  tag: 'agents',
  auth: 'account',
  scope: 'write',
  audit: 'agents.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  bodyLimitBytes: FILES_BODY_LIMIT_BYTES,
  params: instanceParams,
  body: z.object({
    name: nameField,
    slug: slugField,
    displayName: nameField,
    model: z.string().optional().meta({
      description:
        'The model of the agent, one of `GET /models`, by its id or an alias. Defaults to the first of them. The model cannot be changed after creation.',
    }),
    useDefaults: z
      .boolean()
      .default(true)
      .meta({ description: 'Whether to create the standard workspace files. Files in `files` take precedence.' }),
    files: newFiles.default({}),
    metadata: newMetadata.default({}),
  }),
  success: { status: 201, schema: agentSchema },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    return findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, body, actor, em, deps }) {
    const { instanceId } = params;
    const { accountId } = actor;
    const model = chooseModel(offersTo(deps.config.MODELS, accountId), body.model);
    const files = new Map([...(body.useDefaults ? defaultFiles(body.displayName) : []), ...Object.entries(body.files)]);
    requireWorkspace(files, { given: files, model, config: deps.config });
    const { name, slug, displayName, metadata } = body;
    return addAgent(em, deps, { accountId, instanceId, name, slug, displayName, metadata, model, files });
  },
  auditSubject: ({ agentId, instanceId }) => ({ target: agentId, instanceId }),

  async after(created, { em, deps, signal }) {
    await awaitApplied(deps, created, signal);
    return presentAgent(await findAgent(em, created));
  },
});

function chooseModel(offered: Readonly<Record<string, ModelSettings>>, given: string | undefined): string {
  const allowed = Object.keys(offered);
  const model = given === undefined ? allowed[0] : modelNamed(offered, given);
  if (model !== undefined) return model;
  const message = `Must be one of: ${allowed.join(', ')}.`;
  throw invalidRequest([{ path: 'model', message }]);
}
