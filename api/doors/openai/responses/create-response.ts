import type { ResponseRequest } from '../../../../database/entities/response.ts';
import { storeResponse } from '../../../../database/responses/responses.ts';
import { awaitActiveAgent } from '../../../../turns/conversation/await-active-agent.ts';
import { awaitReply } from '../../../../turns/conversation/await-reply.ts';
import { completedTurn } from '../../../../turns/conversation/ended-reply.ts';
import { findSentBefore } from '../../../../turns/conversation/find-conversation.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { followEnded, replayTurn } from '../../../../turns/conversation/replay-turn.ts';
import { sendAccepted } from '../../../../turns/conversation/send-accepted.ts';
import { streamReply } from '../../../../turns/conversation/stream-reply.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { EventStream } from '../../../http/event-stream.ts';
import { orTold } from '../../../operations/messages/conversation.ts';
import { requireStorageLeft } from '../../../security/require-storage.ts';
import { putAttachments, removeAttachments } from '../../../operations/messages/put-attachments.ts';
import { readTranscript, requireSaid } from '../chat/chat-transcript.ts';
import { speakerOf, userOf } from '../chat/chat-request.ts';
import { attachmentsOf } from '../content-attachments.ts';
import { ignoredHeader } from '../ignored-parameters.ts';
import { findModelAgent } from '../models/model-agent.ts';
import { BODY_LIMIT_BYTES, isRetry, TIMEOUT_MS } from '../official-client.ts';
import { findOwnResponse, readResponse } from './own-response.ts';
import { hashOfInput, placeOfInput } from './response-conversation.ts';
import { HONOURED_IN_RESPONSE, responseRequest } from './response-request.ts';
import type { ResponseRequestBody } from './response-request.ts';
import { responseSchema } from './response.schema.ts';
import { say } from '../../say.ts';
import { streamResponse } from './stream-response.ts';
import { toldContext } from '../chat/told-context.ts';
import { toldHere } from '../chat/told.ts';

export const createResponse = defineOperation({
  method: 'POST',
  path: '/responses',
  operationId: 'openai.responses.create',
  summary: 'Send an input to an agent and get a response',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'messages.send',
  rateLimit: 'account',
  idempotent: true,
  stores: 'handle',
  bodyLimitBytes: BODY_LIMIT_BYTES,
  body: responseRequest,
  success: { status: 200, schema: responseSchema, stream: true },
  errors: ['agent_error', 'instance_not_ready', 'timeout', 'rate_limited', 'not_found', 'payment_required'],

  async before({ body, actor, em, deps, signal }) {
    const agent = await findModelAgent(em, actor, body.model);
    const transcript = readTranscript(body.input, userOf(body));
    requireSaid('input', transcript);
    const files = attachmentsOf('input', transcript.files);
    if (agent.status === 'pending') await awaitActiveAgent(deps, actor, agent, signal);
    const attached = await putAttachments(em, deps, { accountId: actor.accountId, ...agent }, files, signal);
    return { agent, transcript, attached };
  },
  undo: ({ attached }, { deps }) => removeAttachments(deps.orm.em.fork(), deps, attached),
  async handle({ body, headers, actor, em, deps, prepared }) {
    const { transcript, attached } = prepared;
    const { agentId, instanceId } = prepared.agent;
    const agent = await holdOwnAgent(em, actor, prepared.agent);
    requireStorageLeft(agent.storedBytes, deps.config);
    const promptHash = hashOfInput(transcript, body);
    const now = deps.clock();
    const before = isRetry(headers) && (await findSentBefore(em, agent, { promptHash, sessionId: undefined, now }));
    if (before) {
      const { messageId, acceptedAtMs } = before;
      return { instanceId, agentId, messageId, acceptedAtMs, model: agent.model };
    }
    const place = await placeOfInput(em, actor, agent, body, transcript);
    const { text, instructionsHash } = transcript;
    const instructions = [body.instructions ?? '', transcript.instructions].filter((part) => part !== '').join('\n\n');
    const context = toldContext({ path: 'instructions', instructions, messages: place.before, text });
    const sessionId = place.sessionId ?? deps.makeId('conv');
    const sender = speakerOf(body);
    const mark = { promptHash, instructionsHash };
    const sent = await say(em, deps, actor, agent, { text, context, attached, mark, sessionId, sender });
    await storeResponse(em, { messageId: sent.messageId, accountId: actor.accountId, request: requestOf(body), now });
    return sent;
  },
  auditSubject: ({ messageId, instanceId }) => ({ target: messageId, instanceId }),
  answerHeaders: ({ body }) => ignoredHeader(body, HONOURED_IN_RESPONSE),

  async after(sent, { body, actor, em, deps, signal }) {
    const turn = sendAccepted(deps, sent);
    const own = await findOwnResponse(em, actor, sent.messageId);
    if (body.stream) return new EventStream(streamResponse(deps, own, streamReply(deps, sent, turn, signal)));
    if (body.background) turn.close();
    else await orTold(awaitReply(deps, sent, turn, { timeoutMs: TIMEOUT_MS, signal }), toldHere);
    return readResponse(deps.orm.em.fork(), own);
  },
  async replay(sent, { body, actor, em, deps, signal }) {
    const own = await findOwnResponse(em, actor, sent.messageId);
    if (body.background && !body.stream) return readResponse(em, own);
    const turn = await orTold(replayTurn(deps, sent), toldHere);
    if (body.stream) return new EventStream(streamResponse(deps, own, streamReply(deps, sent, followEnded(turn), signal)));
    await completedTurn(deps, sent, turn);
    return readResponse(em, own);
  },
});

function requestOf(body: ResponseRequestBody): ResponseRequest {
  return {
    model: body.model,
    instructions: body.instructions ?? null,
    metadata: body.metadata ?? {},
    previousResponseId: body.previous_response_id ?? null,
    background: body.background ?? false,
  };
}
