/** What the agents of an instance do. `*` in a subscription stands for these. */
export const AGENT_EVENTS = ['cron.completed', 'agent.message', 'agent.error'] as const;

/** What happens to an account. Only subscriptions that name one get it. */
export const NOTICE_EVENTS = [
  'billing.low',
  'billing.exhausted',
  'billing.credited',
  'budget.warning',
  'budget.reached',
  'webhook.disabled',
] as const;

export type AgentEventType = (typeof AGENT_EVENTS)[number];
export type NoticeEventType = (typeof NOTICE_EVENTS)[number];
export type EventType = AgentEventType | NoticeEventType;

/** Stands for all events of agents. */
export const ALL_AGENT_EVENTS = '*';

/** What a subscription may name. */
export const SUBSCRIBABLE = [...AGENT_EVENTS, ...NOTICE_EVENTS, ALL_AGENT_EVENTS] as const;

/** The event of a test. No subscription can name it. */
export const TEST_EVENT = 'webhook.test';

/** The entries of a subscription that this event matches. */
export function matchingEntries(type: EventType): string[] {
  return AGENT_EVENTS.some((known) => known === type) ? [type, ALL_AGENT_EVENTS] : [type];
}

/** Why the platform disabled a webhook: its endpoint answered 410 (`gone`), or failed for days (`failing`). */
export type DisabledReason = 'gone' | 'failing';
