import { z } from 'zod';
import { utf8Length } from '../../../domain/agents/file-path.ts';
import { acceptMessage } from '../../../turns/conversation/accept-message.ts';
import type { AcceptedMessage } from '../../../turns/conversation/accept-message.ts';
import { awaitActiveAgent } from '../../../turns/conversation/await-active-agent.ts';
import { awaitReply } from '../../../turns/conversation/await-reply.ts';
import { endedReply } from '../../../turns/conversation/ended-reply.ts';
import { holdOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { readMessage } from '../../../turns/conversation/read-message.ts';
import { followEnded, replayTurn, requireStored } from '../../../turns/conversation/replay-turn.ts';
import { sendAccepted } from '../../../turns/conversation/send-accepted.ts';
import { streamReply, streamWithSteps } from '../../../turns/conversation/stream-reply.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { oneLine } from '../../contract/fields.ts';
import { AcceptedAnswer } from '../../http/accepted-answer.ts';
import { BASE_PATH } from '../../http/base-path.ts';
import { EventStream } from '../../http/event-stream.ts';
import { requireStorageLeft } from '../../security/require-storage.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { attachmentsField, MESSAGE_BODY_LIMIT_BYTES } from './attachment.schema.ts';
import { chatChunks } from './chat-chunks.ts';
import { conversationDeps, orTold } from './conversation.ts';
import { includeField, messageSchema, presentMessage, sessionIdField, STEPS_IN_STREAM } from './message.schema.ts';
import { putAttachments, removeAttachments } from './put-attachments.ts';

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

export const sendMessage = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/messages',
  operationId: 'messages.send',
  summary: 'Send a message to an agent and get its reply',
  description:
    'With `stream`, the reply is sent as server-sent events: OpenAI `chat.completion.chunk` objects, then `[DONE]`; `GET .../messages/:messageId/stream` goes on after any of them. With `async`, the call returns 202 at once with the reply as `pending`, and `Location` is its path. When the timeout passes or the client disconnects, the turn continues, and the reply is added to the history.',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  audit: 'messages.send',
  rateLimit: 'account',
  idempotent: true,
  stores: 'handle',
  bodyLimitBytes: MESSAGE_BODY_LIMIT_BYTES,
  params: agentParams,
  body: z
    .object({
      message: messageField,
      attachments: attachmentsField,
      sender: senderField
        .optional()
        .meta({ description: 'The author of the message. Defaults to the account. Different senders share the conversation.' }),
      stream: z.boolean().default(false).meta({ description: 'Whether to send the reply as server-sent events.' }),
      async: z
        .boolean()
        .default(false)
        .meta({ description: 'Whether to return at once, without the reply. Cannot be used with `stream`.' }),
      sessionId: sessionIdField.optional().meta({
        description: 'The conversation of the message, chosen by the caller. Defaults to the default conversation of the agent.',
      }),
      include: z
        .array(includeField)
        .max(1)
        .optional()
        .meta({ description: `With \`stream\`: ${STEPS_IN_STREAM}` }),
      timeoutMs: z
        .int()
        .min(1)
        .transform((given) => Math.min(given, MAX_TIMEOUT_MS))
        .default(DEFAULT_TIMEOUT_MS)
        .meta({
          description: `How long to wait for the reply without \`stream\`, in milliseconds. Values over ${MAX_TIMEOUT_MS} are treated as ${MAX_TIMEOUT_MS}.`,
        }),
    })
    .refine(({ async, stream }) => !(async && stream), {
      path: ['async'],
      message: 'Cannot be used with `stream`: use one of them.',
    }),
  success: { status: 200, schema: messageSchema, stream: true, accepts: true },
  errors: ['agent_error', 'payment_required', 'instance_not_ready', 'timeout', 'rate_limited'],

  async load({ params, actor, em }) {
    return holdOwnAgent(em, actor, params);
  },
  async before({ params, body, actor, em, deps, signal }) {
    await awaitActiveAgent(deps, actor, params, signal);
    return putAttachments(em, deps, { accountId: actor.accountId, ...params }, body.attachments, signal);
  },
  undo: (attached, { deps }) => removeAttachments(deps.orm.em.fork(), deps, attached),
  async handle({ body, actor, loaded: agent, prepared: attached, em, deps }) {
    requireStorageLeft(agent.storedBytes, deps.config);
    const { message: text, sessionId, sender } = body;
    const accepted = await acceptMessage(em, conversationDeps(deps), actor, agent, { text, attached, sessionId, sender });
    const pending = body.async ? presentMessage(await readMessage(em, agent, accepted.messageId)) : null;
    return { ...accepted, pending };
  },
  auditSubject: ({ messageId, instanceId }) => ({ target: messageId, instanceId }),

  async after(sent, { body, deps, signal }) {
    const turn = sendAccepted(deps, sent);
    if (sent.pending) {
      turn.close();
      return new AcceptedAnswer(sent.pending, pathOf(sent));
    }
    if (body.stream) return new EventStream(chatChunks(sent, partsFor(body)(deps, sent, turn, signal)));
    return presentMessage(await orTold(awaitReply(deps, sent, turn, { timeoutMs: body.timeoutMs, signal })));
  },
  async replay(sent, { body, deps, signal }) {
    if (sent.pending) {
      await orTold(requireStored(deps, sent));
      return new AcceptedAnswer(sent.pending, pathOf(sent));
    }
    const turn = await orTold(replayTurn(deps, sent));
    if (body.stream) return new EventStream(chatChunks(sent, partsFor(body)(deps, sent, followEnded(turn), signal)));
    return presentMessage(await endedReply(deps, sent, turn));
  },
});

function partsFor({ include = [] }: { include?: 'steps'[] | undefined }) {
  return include.includes('steps') ? streamWithSteps : streamReply;
}

function pathOf({ instanceId, agentId, messageId }: AcceptedMessage): string {
  return `${BASE_PATH}/instances/${instanceId}/agents/${agentId}/messages/${messageId}`;
}
