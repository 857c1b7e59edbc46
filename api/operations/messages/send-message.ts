import { z } from 'zod';
import { holdAgentGate } from '../../../database/messages/accept-turn.ts';
import { AppError } from '../../../domain/errors.ts';
import { utf8Length } from '../../../domain/file-path.ts';
import { acceptTurn } from '../../../turns/accept-turn.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { EventStream } from '../../http/event-stream.ts';
import { oneLine } from '../../contract/fields.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { awaitActiveAgent } from './await-active-agent.ts';
import { awaitReply } from './await-reply.ts';
import { messageSchema, sessionIdField } from './message.schema.ts';
import { replayReply } from './replay-reply.ts';
import { requireAgent } from './require-agent.ts';
import { streamReply } from './stream-reply.ts';

const MAX_MESSAGE_BYTES = 256 * 1024;
const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_TIMEOUT_MS = 600_000;

const messageField = z
  .string()
  .regex(/\S/, 'Give a message that is not blank.')
  .refine((text) => utf8Length(text) <= MAX_MESSAGE_BYTES, `Use at most ${MAX_MESSAGE_BYTES} bytes.`)
  .meta({
    override: ({ jsonSchema }) => {
      delete jsonSchema.pattern;
      jsonSchema.minLength = 1;
    },
  });

const senderField = z.object({
  type: z.string().min(1).max(32).default('human'),
  id: z.string().min(1).max(128),
  name: oneLine(z.string().min(1).max(128)).optional(),
});

/** The relay would refuse every call of such an agent; said here, it costs no turn. */
function requireOffered(models: Readonly<Record<string, unknown>>, model: string): void {
  if (Object.hasOwn(models, model)) return;
  const message = `The model of this agent, ${model}, is no longer available. Create a new agent with one of: ${Object.keys(models).join(', ')}.`;
  throw new AppError('agent_error', message, { reason: 'model_error' });
}

export const sendMessage = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/messages',
  operationId: 'messages.send',
  summary: 'Send a message to an agent and get its reply',
  description:
    'With `stream`, the reply is sent as server-sent events: OpenAI `chat.completion.chunk` objects, then `[DONE]`. When the timeout passes or the client disconnects, the turn continues, and the reply is added to the history.',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  audit: 'messages.send',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: agentParams,
  body: z.object({
    message: messageField,
    sender: senderField
      .optional()
      .meta({ description: 'The author of the message. Defaults to the account. Different senders share the conversation.' }),
    stream: z.boolean().default(false).meta({ description: 'Whether to send the reply as server-sent events.' }),
    sessionId: sessionIdField.optional().meta({
      description: 'The conversation of the message, chosen by the caller. Defaults to the default conversation of the agent.',
    }),
    timeoutMs: z
      .int()
      .min(1)
      .transform((given) => Math.min(given, MAX_TIMEOUT_MS))
      .default(DEFAULT_TIMEOUT_MS)
      .meta({
        description: `How long to wait for the reply without \`stream\`, in milliseconds. Values over ${MAX_TIMEOUT_MS} are treated as ${MAX_TIMEOUT_MS}.`,
      }),
  }),
  success: { status: 200, schema: messageSchema, stream: true },
  errors: ['agent_error', 'instance_not_ready', 'timeout', 'rate_limited'],

  async load({ params, actor, em }) {
    return requireAgent(await holdAgentGate(em, params.instanceId, params.agentId), actor.accountId);
  },
  async before({ params, actor, deps, signal }) {
    await awaitActiveAgent(deps, { accountId: actor.accountId, ...params }, signal);
  },
  async handle({ params, body, actor, loaded: gate, em, deps }) {
    requireOffered(deps.config.MODELS, gate.model);
    const owner = deps.turnSender.owner();
    // The account itself, where the call does not say who speaks.
    const sender = body.sender ?? { type: 'human', id: actor.accountId, name: gate.accountName };
    const now = deps.clock();
    const { messageId, isClaimed } = await acceptTurn(em, gate, {
      ...params,
      sessionId: body.sessionId ?? '',
      text: body.message,
      sender: { ...sender, name: sender.name ?? sender.id },
      owner,
      makeId: deps.makeId,
      now,
    });
    return { ...params, messageId, isClaimed, model: gate.model, acceptedAtMs: now.getTime() };
  },
  auditSubject: ({ messageId, instanceId }) => ({ target: messageId, instanceId }),

  async after(sent, { body, deps, signal }) {
    // First: what is being sent is not looked for.
    deps.turnSender.kick(sent.messageId, sent);
    const turn = deps.turnSender.follow(sent.messageId);
    if (body.stream) return new EventStream(streamReply(deps, sent, turn, signal));
    return awaitReply(deps, sent, turn, { timeoutMs: body.timeoutMs, signal });
  },
  async replay(sent, { body, deps, signal }) {
    return replayReply(deps, sent, { stream: body.stream, signal });
  },
});
