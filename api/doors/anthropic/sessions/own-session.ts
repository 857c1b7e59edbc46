import type { EntityManager } from '@mikro-orm/postgresql';
import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { Instance } from '../../../../database/entities/instance.ts';
import type { SessionPlace } from '../../../../database/messages/session-turns.ts';
import { AppError } from '../../../../domain/errors.ts';
import { seesInstance } from '../../../../domain/access/key-scopes.ts';
import type { ConversationActor } from '../../../../turns/conversation/own-agent.ts';

/** Of an instance that is not being deleted. */
const KEPT = { deletedAt: null, desiredStatus: { $ne: 'destroyed' as const } };

/** The caller's session. Throws AppError `not_found`, also while its environment is being deleted. */
export async function findOwnSession(em: EntityManager, actor: ConversationActor, id: string): Promise<ClaudeSession> {
  const session = await em.findOne(ClaudeSession, { id, account: actor.accountId }, { refresh: true });
  const isSeen = session && seesInstance(actor.limits, session.instance);
  if (isSeen && (await em.count(Instance, { id: session.instance, ...KEPT })) > 0) return session;
  throw new AppError('not_found', `There is no session with the id '${id}'.`);
}

/** Those of these sessions whose environment is not being deleted. */
export async function keptSessions(em: EntityManager, sessions: readonly ClaudeSession[]): Promise<ClaudeSession[]> {
  const kept = await em.find(Instance, { id: { $in: [...new Set(sessions.map(({ instance }) => instance))] }, ...KEPT });
  const ids = new Set(kept.map(({ id }) => id));
  return sessions.filter(({ instance }) => ids.has(instance));
}

/** The conversation of a session. */
export function placeOf({ id, agent }: ClaudeSession): SessionPlace {
  return { agentId: agent, sessionId: id };
}
