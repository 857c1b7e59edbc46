import { z } from 'zod';
import type { ClaudeAgent } from '../../../../database/entities/claude-agent.ts';
import type { ClaudeDefinition } from '../../../../domain/agents/claude-agents.ts';
import { unsupported } from '../request-fields.ts';

const definitionFields = {
  id: z.string(),
  type: z.literal('agent'),
  version: z.int(),
  name: z.string(),
  description: z.string().nullable(),
  model: z.looseObject({ id: z.string() }),
  system: z.string().nullable(),
  tools: z.array(z.record(z.string(), z.unknown())),
  mcp_servers: z.array(z.never()),
  skills: z.array(z.never()),
  multiagent: z.null(),
  execution_identity: z.null(),
};

export const agentSchema = z.object({
  ...definitionFields,
  metadata: z.record(z.string(), z.string()),
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.string().nullable(),
});

/** The agent of a session, as it was when the session was opened. */
export const sessionAgentSchema = z.object(definitionFields);

type Presented = z.input<typeof sessionAgentSchema>;

/** What a definition is, with what no agent here has. */
export function presentDefinition(id: string, version: number, definition: ClaudeDefinition): Presented {
  const { name, description, model, system, tools } = definition;
  const nothing = { mcp_servers: [], skills: [], multiagent: null, execution_identity: null };
  return { id, type: 'agent', version, name, description, model, system, tools, ...nothing };
}

export function presentAgent({
  id,
  version,
  definition,
  createdAt,
  updatedAt,
  archivedAt,
}: ClaudeAgent): z.input<typeof agentSchema> {
  return {
    ...presentDefinition(id, version, definition),
    metadata: definition.metadata,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    archived_at: archivedAt?.toISOString() ?? null,
  };
}

const MODEL_NAME = z.string().min(1).max(256);
const MAX_SYSTEM = 100_000;
const TOOLS =
  'Only the toolset of the agent ("agent_toolset_20260401") can be given here, whose tools need no confirmation. Leave out custom tools, MCP toolsets and permission policies.';

const toolField = z.looseObject({ type: z.string().regex(/^agent_toolset_\d{8}$/, TOOLS) });

/** What a client says of an agent. */
export const agentFields = {
  name: z.string().trim().min(1).max(256),
  model: z.union([MODEL_NAME.transform((id) => ({ id })), z.looseObject({ id: MODEL_NAME })]),
  system: z.string().max(MAX_SYSTEM).nullish(),
  description: z.string().max(2_048).nullish(),
  tools: z
    .array(toolField)
    .max(50)
    .refine((tools) => !/"always_ask"|"auto"/.test(JSON.stringify(tools)), TOOLS)
    .nullish(),
  mcp_servers: unsupported('MCP servers'),
  skills: unsupported('Skills of an agent'),
  multiagent: unsupported('Several agents'),
  execution_identity: unsupported('Identities of execution'),
};
