import type { FinishReason } from '../turn.ts';
import type { EventType } from './webhook-events.ts';

/** What an event says about itself, as far as a delivery shows it. */
export interface EventFacts {
  id: string;
  type: EventType;
  instanceId: string | null;
  agentSlug: string | null;
  agentName: string | null;
  messageId: string | null;
  content: string | null;
  contentTruncated: boolean;
  finishReason: FinishReason | null;
  jobName: string | null;
  /** How late the run of its job began, because the instance was asleep. */
  lateMs: number | null;
  error: { code: string; message: string } | null;
  /** Of a notice. */
  data: Record<string, unknown> | null;
  createdAt: Date;
}

/**
 * The body of a delivery, made once: the same bytes go out on every attempt, since signatures cover bytes. It is what
 * `JSON.stringify` makes of what `JSON.parse` reads in it, which is what the verifier of the reference relies on.
 */
export function eventBody(event: EventFacts, seq: number): string {
  const { type: eventType, instanceId, agentSlug, createdAt, id: eventId } = event;
  return JSON.stringify({
    eventType,
    instanceId,
    agentSlug,
    data: dataOf(event),
    timestamp: createdAt.toISOString(),
    eventId,
    seq,
  });
}

/** The body of a test. */
export function testBody({ eventType, eventId, at }: { eventType: string; eventId: string; at: Date }): string {
  const data = { message: 'This is a test of your webhook.' };
  return JSON.stringify({ eventType, instanceId: null, agentSlug: null, data, timestamp: at.toISOString(), eventId, seq: null });
}

function dataOf(event: EventFacts): Record<string, unknown> {
  const { type, messageId, content, contentTruncated, finishReason, jobName, lateMs, error, agentSlug, agentName, data } = event;
  const truncated = contentTruncated ? { contentTruncated } : {};
  const late = lateMs === null ? {} : { lateMs };
  switch (type) {
    case 'agent.message':
      return { content, messageId, sender: { type: 'agent', id: agentSlug, name: agentName }, finishReason, ...truncated };
    case 'cron.completed':
      return { content, jobName, ...(messageId === null ? {} : { messageId }), ...truncated, ...late };
    case 'agent.error':
      return { ...error, ...(messageId === null ? {} : { messageId }), ...(jobName === null ? {} : { jobName }), ...late };
    default:
      return data ?? {};
  }
}
