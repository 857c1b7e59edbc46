import type { IncomingHttpHeaders } from 'node:http';
import type { EntityManager } from '@mikro-orm/postgresql';
import { awaitActiveAgent } from '../../../../turns/conversation/await-active-agent.ts';
import { awaitReply } from '../../../../turns/conversation/await-reply.ts';
import { endedReply } from '../../../../turns/conversation/ended-reply.ts';
import { findContinued, findNamed, findSentBefore } from '../../../../turns/conversation/find-conversation.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import type { OwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { followEnded, replayTurn } from '../../../../turns/conversation/replay-turn.ts';
import { sendAccepted } from '../../../../turns/conversation/send-accepted.ts';
import { streamReply } from '../../../../turns/conversation/stream-reply.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { EventStream } from '../../../http/event-stream.ts';
import { orTold } from '../../../operations/messages/conversation.ts';
import { sessionIdField } from '../../../operations/messages/message.schema.ts';
import { requireStorageLeft } from '../../../security/require-storage.ts';
import { putAttachments, removeAttachments } from '../../../operations/messages/put-attachments.ts';
import { chatCompletionSchema, completionChunks, presentCompletion } from './chat-completion.ts';
import { chatRequest, HONOURED_IN_CHAT, speakerOf, userOf } from './chat-request.ts';
import type { ChatRequest } from './chat-request.ts';
import { readTranscript, requireSaid } from './chat-transcript.ts';
import type { ReadTranscript } from './chat-transcript.ts';
import { attachmentsOf } from '../content-attachments.ts';
import { SESSION_HEADER } from '../door.ts';
import { ignoredHeader } from '../ignored-parameters.ts';
import { findModelAgent } from '../models/model-agent.ts';
import { BODY_LIMIT_BYTES, isRetry, TIMEOUT_MS } from '../official-client.ts';
import { say } from '../../say.ts';
import { isSideRequest } from './side-request.ts';
import { toldContext } from './told-context.ts';
import { toldHere } from './told.ts';

export const createChatCompletion = defineOperation({
  method: 'POST',
  path: '/chat/completions',
  operationId: 'openai.chat.completions.create',
  summary: 'Send the new messages of a conversation to an agent',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'messages.send',
  rateLimit: 'account',
  idempotent: true,
  stores: 'handle',
  bodyLimitBytes: BODY_LIMIT_BYTES,
  body: chatRequest,
  success: { status: 200, schema: chatCompletionSchema, stream: true },
  errors: ['agent_error', 'instance_not_ready', 'timeout', 'rate_limited', 'not_found', 'payment_required'],

  async before({ body, headers, actor, em, deps, signal }) {
    const place = await findModelAgent(em, actor, body.model);
    const transcript = readTranscript(body.messages, userOf(body));
    requireSaid('messages', transcript);
    const sessionId = sessionOf(body, headers);
    const files = attachmentsOf('messages', transcript.files);
    if (place.status === 'pending') await awaitActiveAgent(deps, actor, place, signal);
    const attached = await putAttachments(em, deps, { accountId: actor.accountId, ...place }, files, signal);
    return { place, transcript, sessionId, attached };
  },
  undo: ({ attached }, { deps }) => removeAttachments(deps.orm.em.fork(), deps, attached),
  async handle({ body, headers, actor, em, deps, prepared }) {
    const { place, transcript, sessionId, attached } = prepared;
    const { instanceId, agentId } = place;
    const agent = await holdOwnAgent(em, actor, place);
    requireStorageLeft(agent.storedBytes, deps.config);
    const { promptHash, text, name } = transcript;
    const sent = isRetry(headers) && (await findSentBefore(em, agent, { promptHash, sessionId, now: deps.clock() }));
    if (sent) return { instanceId, agentId, ...sent, model: body.model };
    const conversation = await conversationOf(em, agent, transcript, { sessionId, makeName: () => deps.makeId('conv') });
    const accepted = await say(em, deps, actor, agent, { ...conversation, text, attached, sender: speakerOf(body, name) });
    return { ...accepted, model: body.model, sessionId: conversation.sessionId };
  },
  auditSubject: ({ messageId, instanceId }) => ({ target: messageId, instanceId }),
  answerHeaders: ({ body }) => ignoredHeader(body, HONOURED_IN_CHAT),

  async after(sent, { body, deps, signal }) {
    const turn = sendAccepted(deps, sent);
    if (body.stream) return new EventStream(completionChunks(sent, streamReply(deps, sent, turn, signal), streamed(body)));
    return presentCompletion(sent, await orTold(awaitReply(deps, sent, turn, { timeoutMs: TIMEOUT_MS, signal }), toldHere));
  },
  async replay(sent, { body, deps, signal }) {
    const turn = await orTold(replayTurn(deps, sent), toldHere);
    const parts = () => streamReply(deps, sent, followEnded(turn), signal);
    if (body.stream) return new EventStream(completionChunks(sent, parts(), streamed(body)));
    return presentCompletion(sent, await endedReply(deps, sent, turn));
  },
});

/** The session id of the request, if it has one. The side requests of chat pages are not sent in their conversation. */
function sessionOf({ metadata, messages }: ChatRequest, headers: IncomingHttpHeaders): string | undefined {
  if (isSideRequest(messages)) return undefined;
  const given = metadata?.sessionId ?? headers[SESSION_HEADER.toLowerCase()];
  if (given === undefined) return undefined;
  const parsed = sessionIdField.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidRequest([{ path: SESSION_HEADER, message: 'Use 1 to 128 characters.' }]);
}

function streamed({ stream_options: options }: ChatRequest): { includeUsage: boolean } {
  return { includeUsage: options?.include_usage ?? false };
}

interface Naming {
  sessionId: string | undefined;
  makeName: () => string;
}

/** The conversation for the new messages, and the context that the agent needs because it was not sent in that conversation. */
async function conversationOf(em: EntityManager, agent: OwnAgent, transcript: ReadTranscript, naming: Naming) {
  const { sessionId, makeName } = naming;
  const found = sessionId === undefined ? await findContinued(em, agent, transcript) : await findNamed(em, agent, sessionId);
  const { text, instructions, instructionsHash, promptHash, before } = transcript;
  const isTold = instructionsHash !== null && found?.instructionsHash != null && instructionsHash.equals(found.instructionsHash);
  const context = toldContext({
    path: 'messages',
    instructions: isTold ? '' : instructions,
    messages: found ? [] : before,
    text,
  });
  return { sessionId: sessionId ?? found?.sessionId ?? makeName(), context, mark: { promptHash, instructionsHash } };
}
