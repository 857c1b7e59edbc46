import type { EntityManager } from '@mikro-orm/postgresql';
import { LockMode } from '@mikro-orm/postgresql';
import { ClaudeAgent } from '../../../../database/entities/claude-agent.ts';
import { AppError } from '../../../../domain/errors.ts';
import type { ConversationActor } from '../../../../turns/conversation/own-agent.ts';

/** The account's agent with this id. Throws AppError `not_found`. */
export async function findOwnClaudeAgent(em: EntityManager, { accountId }: ConversationActor, id: string): Promise<ClaudeAgent> {
  const agent = await em.findOne(ClaudeAgent, { id, account: accountId }, { refresh: true });
  if (!agent) throw noAgent(id);
  return agent;
}

/** The same, and keeps others from changing it until the transaction ends. */
export async function holdOwnClaudeAgent(em: EntityManager, { accountId }: ConversationActor, id: string): Promise<ClaudeAgent> {
  const options = { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true } as const;
  const agent = await em.findOne(ClaudeAgent, { id, account: accountId }, options);
  if (!agent) throw noAgent(id);
  return agent;
}

function noAgent(id: string): AppError {
  return new AppError('not_found', `There is no agent with the id '${id}'.`);
}
