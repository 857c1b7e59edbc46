import { z } from 'zod';
import { listPendingReplies, notifySession } from '../../../../database/messages/session-turns.ts';
import { abortCancelled } from '../../../../turns/conversation/cancel-message.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { sendAccepted } from '../../../../turns/conversation/send-accepted.ts';
import { endTurnFirst } from '../../../../turns/end-turns.ts';
import { cancelledEnd } from '../../../../turns/turn-end.ts';
import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { requireStorageLeft } from '../../../security/require-storage.ts';
import { conversationDeps } from '../../../operations/messages/conversation.ts';
import { say } from '../../say.ts';
import { awaitSession } from '../sessions/await-session.ts';
import { EVENTS_BODY_LIMIT_BYTES, eventsField, saidIn } from './event-request.ts';
import { eventId, sessionParams } from '../ids.ts';
import { dropInitial, sayInitial } from './initial-events.ts';
import { lockSession } from '../sessions/lock-session.ts';
import { findOwnSession, placeOf } from '../sessions/own-session.ts';

export const sendSessionEvents = defineOperation({
  method: 'POST',
  path: '/v1/sessions/:sessionId/events',
  operationId: 'anthropic.sessions.events.send',
  summary: 'Send events to a session: messages to its agent, and interrupts',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'messages.send',
  rateLimit: 'account',
  idempotent: true,
  stores: 'handle',
  bodyLimitBytes: EVENTS_BODY_LIMIT_BYTES,
  params: sessionParams,
  body: z.object({ events: eventsField }),
  success: { status: 200, schema: z.object({ data: z.array(z.looseObject({ id: z.string(), type: z.string() })) }) },
  errors: ['agent_error', 'conflict', 'instance_not_ready', 'rate_limited', 'payment_required', 'not_found'],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async before({ params, body, actor, em, deps, signal }) {
    const { instance: instanceId, agent: agentId } = await findOwnSession(em, actor, params.sessionId);
    if (body.events.some(({ type }) => type === 'user.message')) await awaitSession(deps, actor, { instanceId, agentId }, signal);
  },
  async handle({ body, actor, em, deps, loaded }) {
    const { id: sessionId, instance: instanceId, agent: agentId } = loaded;
    const agent = await holdOwnAgent(em, actor, { instanceId, agentId });
    requireStorageLeft(agent.storedBytes, deps.config);
    const session = loaded.fields.initial ? await lockSession(em, sessionId) : loaded;
    if (!session) throw new AppError('not_found', `There is no session with the id '${sessionId}'.`);
    if (session.archivedAt) throw new AppError('conflict', 'This session is archived and takes no events.');
    // What it was created with comes first, and an interrupt ends that too.
    const saysSomething = body.events.some(({ type }) => type === 'user.message');
    const accepted = saysSomething ? await sayInitial(em, deps, agent, session) : [];
    await dropInitial(em, session);
    let interrupted: string[] = [];
    const data: { id: string; type: string; [field: string]: unknown }[] = [];
    for (const event of body.events) {
      if (event.type === 'user.message') {
        const message = await say(em, deps, actor, agent, { text: saidIn(event.content), sessionId });
        accepted.push(message);
        data.push({ id: eventId(message.messageId, 'user'), ...event, processed_at: null });
      } else {
        // Those of this call too: an interrupt ends everything that was said before it.
        interrupted = await listPendingReplies(em, placeOf(session));
        data.push({ id: eventId(interrupted[0] ?? deps.makeId('msg'), 'interrupt'), ...event, processed_at: null });
      }
    }
    await notifySession(em, sessionId);
    return { accepted, interrupted, data };
  },
  auditSubject: ({ accepted, interrupted }) => {
    const [message] = accepted;
    return { target: message?.messageId ?? interrupted[0] ?? null, instanceId: message?.instanceId ?? null };
  },

  async after({ accepted, interrupted, data }, { deps, log }) {
    const conversation = conversationDeps(deps);
    // One transaction for each: the counter of events is the last lock of its transaction.
    for (const replyId of interrupted) await endTurnFirst(conversation, replyId, cancelledEnd());
    if (interrupted.length > 0)
      deps.background.run('abort-turn', log, async () => {
        for (const replyId of interrupted) await abortCancelled(conversation, replyId);
      });
    for (const message of accepted) if (!interrupted.includes(message.messageId)) sendAccepted(deps, message).close();
    return { data };
  },
});
