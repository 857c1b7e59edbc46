import type { GatewaySession } from '../../gateway/gateway-events.ts';

/**
 * The gateway's key of a conversation's session. Gateways lower-case keys, so ids must be lower-case already: others
 * are refused, or two conversations could share a session.
 */
export function sessionKeyOf({ gatewayAgentId, conversationId }: { gatewayAgentId: string; conversationId: string }): string {
  for (const id of [gatewayAgentId, conversationId])
    if (!/^[a-z0-9_-]+$/.test(id)) throw new Error(`Not an id for a session key: ${JSON.stringify(id)}`);
  return `agent:${gatewayAgentId}:conv:${conversationId}`;
}

/** The id of the conversation whose session this is; null for every other session of a gateway. */
export function conversationIdOf(sessionKey: string): string | null {
  return /^agent:[^:]+:conv:([a-z0-9_-]+)$/.exec(sessionKey)?.[1] ?? null;
}

/** Of the session that a gateway keeps for the agent itself, in which its reminders come up. It is no conversation. */
export function mainSessionOf(gatewayAgentId: string): string {
  return `agent:${gatewayAgentId}:main`;
}

/** The agent whose session this is, whatever the session is for. */
export function agentOfSession(sessionKey: string): string | null {
  return /^agent:([^:]+):/.exec(sessionKey)?.[1] ?? null;
}

/** The session of a job, of whose runs each has one below it. */
export function jobSessionOf(sessionKey: string): string {
  return sessionKey.replace(/:run:[^:]+$/, '');
}

/** What a session is to us. */
export function sessionOf(sessionKey: string): GatewaySession {
  const conversationId = conversationIdOf(sessionKey);
  return {
    key: sessionKey,
    conversationId,
    agentOfConversation: /^agent:([^:]+):(?:main|conv:[^:]+)$/.exec(sessionKey)?.[1] ?? null,
    isOfJob: sessionKey.includes(':cron:'),
    source: conversationId ?? jobSessionOf(sessionKey),
  };
}
