import { z } from 'zod';
import { findOwnReply, followReply } from '../../../turns/conversation/follow-reply.ts';
import type { OwnReply } from '../../../turns/conversation/follow-reply.ts';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { streamReply, streamWithSteps } from '../../../turns/conversation/stream-reply.ts';
import type { Deps } from '../../deps.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { EventStream } from '../../http/event-stream.ts';
import type { StreamFrame } from '../../http/event-stream.ts';
import { chatChunks, chatChunkSchema } from './chat-chunks.ts';
import { readFrameId } from './frame-id.ts';
import type { FramePlace } from './frame-id.ts';
import { includeField, messageParams, STEPS_IN_STREAM } from './message.schema.ts';

const NOT_AN_ID = 'Send the id of the last frame that you received of this stream.';

const afterField = z
  .string()
  .transform((text, context) => {
    const place = readFrameId(text);
    if (place) return place;
    context.addIssue(NOT_AN_ID);
    return z.NEVER;
  })
  .optional()
  .meta({ description: 'The `id` of the last frame that you received: the stream goes on after it.' });

export const streamMessage = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/messages/:messageId/stream',
  operationId: 'messages.stream',
  summary: 'Stream a reply, or go on with a stream that was cut',
  description:
    'The reply as server-sent events, as `POST .../messages` with `stream` sends it: what came after the frame whose `id` is in `Last-Event-ID` or `after`, then each frame live, then `[DONE]`. `Last-Event-ID` takes precedence; without either, the stream begins at the start. The `delta.content` of all frames that a client received, over any number of connections, is the content of the reply. `messageId` is the id of the reply, or of the message that it answers. When the instance failed and generated a reply that does not continue what was sent, the stream ends with the error `instance_not_ready`: request it again without an id. A comment is sent every 15 seconds.',
  tag: 'messages',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: messageParams,
  query: z.object({ after: afterField, include: includeField.optional().meta({ description: STEPS_IN_STREAM }) }),
  success: { status: 200, schema: chatChunkSchema, stream: 'only' },
  errors: ['agent_error', 'instance_not_ready', 'timeout'],

  async load({ params, actor, em }) {
    return findOwnReply(em, await findOwnAgent(em, actor, params), params.messageId);
  },
  async handle({ query, lastEventId, loaded: reply }) {
    return { reply, after: readLastEventId(lastEventId) ?? query.after, include: query.include };
  },

  async after(asked, { deps, signal }) {
    return new EventStream(framesOf(deps, asked, signal));
  },
});

function readLastEventId(text: string | undefined): FramePlace | undefined {
  if (text === undefined || text === '') return undefined;
  const place = readFrameId(text);
  if (!place) throw invalidRequest([{ path: 'Last-Event-ID', message: NOT_AN_ID }]);
  return place;
}

interface Asked {
  reply: OwnReply;
  after: FramePlace | undefined;
  include: 'steps' | undefined;
}

async function* framesOf(deps: Deps, { reply, after, include }: Asked, signal: AbortSignal): AsyncGenerator<StreamFrame> {
  // So that a client knows that it is connected, though the agent says nothing yet.
  if (!reply.hasEnded) yield { comment: 'connected' };
  const followed = await followReply(deps, reply, after?.reply);
  const parts = include ? streamWithSteps : streamReply;
  yield* chatChunks(reply, parts(deps, reply, followed, signal), after);
}
