import type { EntityManager } from '@mikro-orm/postgresql';
import { attachmentsNote } from '../../domain/agents/attachments.ts';
import { AppError } from '../../domain/errors.ts';
import { offersTo } from '../../lib/settings/models.ts';
import type { Models, ModelSettings } from '../../lib/settings/models.ts';
import { estimatedTokens } from '../../lib/text/estimated-tokens.ts';
import { acceptTurn } from '../accept-turn.ts';
import type { Attached } from '../accept-turn.ts';
import type { ConversationMark } from '../../database/messages/store-turn.ts';
import type { TurnClaim } from '../turn-claim.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { AgentPlace, ConversationActor, OwnAgent } from './own-agent.ts';

export interface NewMessage {
  text: string;
  /** What the agent is told before the text. It is a part of the conversation, and history does not show it. */
  context?: string | undefined;
  /** Files that lie in the workspace for it already. The agent is told of them before the text, too. */
  attached?: Attached | null | undefined;
  /** A hash by which a conversation is found again when its client does not name it. Without it, an earlier mark is cleared. */
  mark?: ConversationMark | undefined;
  /** How the actor names the conversation; without it, the agent's default one. */
  sessionId?: string | undefined;
  /** Who speaks; without it, the account itself. The name defaults to the id. */
  sender?: { type: string; id: string; name?: string | undefined } | undefined;
}

/** A message that was accepted. It survives JSON, so that it can be stored for a repeated call. */
export interface AcceptedMessage extends AgentPlace {
  /** The id of the reply, which names the turn. */
  messageId: string;
  /** See AcceptedTurn. It does not survive JSON. */
  claim?: TurnClaim | null;
  model: string;
  acceptedAtMs: number;
}

/**
 * Stores a message to this agent, which is held, in the caller's transaction. Once that is committed the turn will end,
 * whatever dies: call sendAccepted then. Throws AppError: not_found, agent_error, instance_not_ready, rate_limited, payment_required, and
 * `unavailable` while this process may own no turn.
 */
export async function acceptMessage(
  em: EntityManager,
  { turnSender, makeId, clock, models }: Pick<ConversationDeps, 'turnSender' | 'makeId' | 'clock' | 'models'>,
  { accountId, keyId }: ConversationActor,
  agent: OwnAgent,
  { text, context: given, attached, mark, sessionId = '', sender: speaker }: NewMessage,
): Promise<AcceptedMessage> {
  const { maxTokens } = requireOffered(offersTo(models, accountId), agent.model);
  const { instanceId, agentId, model } = agent;
  const { type, id, name = id } = speaker ?? { type: 'human', id: accountId, name: agent.accountName };
  const parts = [given, attached ? attachmentsNote(attached.attachments) : undefined].filter((part) => part !== undefined);
  const context = parts.length === 0 ? undefined : parts.join('\n\n');
  const owner = turnSender.owner();
  const now = clock();
  const said = Buffer.byteLength(text) + Buffer.byteLength(context ?? '');
  const promised = { inputTokens: estimatedTokens(said), outputTokens: maxTokens };
  const turn = {
    instanceId,
    agentId,
    sessionId,
    text,
    context,
    attached,
    mark,
    keyId,
    promised,
    sender: { type, id, name },
    owner,
    makeId,
    now,
  };
  const { messageId, claim } = await acceptTurn(em, agent, turn);
  return { instanceId, agentId, messageId, claim, model, acceptedAtMs: now.getTime() };
}

/** The relay would refuse every call of such an agent; said here, it costs no turn. */
function requireOffered(models: Models, model: string): ModelSettings {
  const offered = Object.hasOwn(models, model) ? models[model] : undefined;
  if (offered) return offered;
  const message = `The model of this agent, ${model}, is no longer available. Create a new agent with one of: ${Object.keys(models).join(', ')}.`;
  throw new AppError('agent_error', message, { reason: 'model_error' });
}
