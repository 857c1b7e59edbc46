import type { EntityManager } from '@mikro-orm/postgresql';
import { findRepeated, lockContinued, lockConversation } from '../../database/messages/find-conversation.ts';
import type { KnownConversation, ReceivedPart } from '../../database/messages/find-conversation.ts';
import type { OwnAgent } from './own-agent.ts';

/** A conversation as a client has it that sends all of it with each message. */
export interface Transcript {
  /** A hash of all of it, the new message included. */
  promptHash: Buffer;
  /** Up to the last reply that the client has; null when it has none. */
  received: ReceivedPart | null;
}

/** The conversation with this session id, locked until the transaction ends; null when it is new. */
export function findNamed(em: EntityManager, { agentId }: OwnAgent, sessionId: string): Promise<KnownConversation | null> {
  return lockConversation(em, agentId, sessionId);
}

/**
 * The conversation that this transcript continues, as findNamed: one that ends with the reply that the client has last, or one
 * whose last turn was this message and failed. Null when there is none: then a new one begins.
 */
export async function findContinued(
  em: EntityManager,
  { agentId }: OwnAgent,
  { promptHash, received }: Transcript,
): Promise<KnownConversation | null> {
  const repeated = await findRepeated(em, agentId, { promptHash });
  if (repeated?.status === 'failed' || repeated?.status === 'cancelled') {
    const conversation = await lockConversation(em, agentId, repeated.sessionId);
    if (conversation) return conversation;
  }
  return received && lockContinued(em, agentId, received);
}

/** How long after a message was accepted a client can still send it again because it got no answer. */
const REPEATED_WITHIN_MS = 900_000;

/**
 * The turn of a message that its client says it is sending again, because it got no answer: the last one of a
 * conversation, which may be named, that ends with exactly this message. Null when it has not been accepted yet.
 */
export async function findSentBefore(
  em: EntityManager,
  { agentId }: OwnAgent,
  { promptHash, sessionId, now }: { promptHash: Buffer; sessionId: string | undefined; now: Date },
): Promise<{ messageId: string; sessionId: string; acceptedAtMs: number } | null> {
  const found = await findRepeated(em, agentId, { promptHash, sessionId });
  return found && now.getTime() - found.acceptedAtMs < REPEATED_WITHIN_MS ? found : null;
}
