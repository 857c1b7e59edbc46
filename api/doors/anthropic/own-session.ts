import type { EntityManager } from '@mikro-orm/postgresql';
import { ClaudeSession } from '../../../database/entities/claude-session.ts';
import type { SessionPlace } from '../../../database/messages/session-turns.ts';
import { AppError } from '../../../domain/errors.ts';
import { seesInstance } from '../../../domain/key-scopes.ts';
import type { ConversationActor } from '../../../turns/conversation/own-agent.ts';

/** The caller's session. Throws AppError `not_found`. */
export async function findOwnSession(em: EntityManager, actor: ConversationActor, id: string): Promise<ClaudeSession> {
  const session = await em.findOne(ClaudeSession, { id, account: actor.accountId }, { refresh: true });
  if (session && seesInstance(actor.limits, session.instance)) return session;
  throw new AppError('not_found', `There is no session with the id '${id}'.`);
}

/** The conversation of a session. */
export function placeOf({ id, agent }: ClaudeSession): SessionPlace {
  return { agentId: agent, sessionId: id };
}
