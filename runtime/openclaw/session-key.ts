/**
 * The gateway's key of a conversation's session. Gateways lower-case keys, so ids must be lower-case already: others
 * are refused, or two conversations could share a session.
 */
export function sessionKeyOf(gatewayAgentId: string, conversationId: string): string {
  for (const id of [gatewayAgentId, conversationId])
    if (!/^[a-z0-9_-]+$/.test(id)) throw new Error(`Not an id for a session key: ${JSON.stringify(id)}`);
  return `agent:${gatewayAgentId}:conv:${conversationId}`;
}

/** Of the agent's own conversation, in which its reminders come up. */
export function mainSessionOf(gatewayAgentId: string): string {
  return `agent:${gatewayAgentId}:main`;
}
