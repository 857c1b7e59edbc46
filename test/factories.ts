import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Account } from '../database/entities/account.ts';
import { Agent } from '../database/entities/agent.ts';
import { Budget } from '../database/entities/budget.ts';
import { Conversation } from '../database/entities/conversation.ts';
import { Instance } from '../database/entities/instance.ts';
import { Message } from '../database/entities/message.ts';
import { createIdMaker } from '../domain/ids.ts';

// Rows that tests begin with. Each is valid as it is, and a test says only what matters to it. Where a row belongs to
// another one that is not given, that one is made too.

export const makeId = createIdMaker(randomBytes);

/** MikroORM, or what inserts within one transaction. */
export interface Orm {
  em: { fork(): Pick<EntityManager, 'insert'> };
}

/** An account without money. */
export async function newAccount(orm: Orm, values: Partial<Account> = {}): Promise<{ accountId: string }> {
  const accountId = values.id ?? makeId('acc');
  const row = { email: `${accountId}@example.com`, name: 'Test', emailVerifiedAt: null, createdAt: new Date(), ...values };
  await orm.em.fork().insert(Account, { ...row, id: accountId });
  return { accountId };
}

export interface NewInstance {
  accountId: string;
  instanceId: string;
  runtimeId: string;
}

/** An instance of shard 0 that is wanted to run and does. It has no gateway unless it is given a bootId. */
export async function newInstance(orm: Orm, values: Partial<Instance> = {}): Promise<NewInstance> {
  const { id: instanceId = makeId('inst'), runtimeId = makeId('run') } = values;
  const accountId = values.account ?? (await newAccount(orm)).accountId;
  const state = { desiredStatus: 'running', status: 'running', transitionKind: null, transitionStartedAt: null } as const;
  const row = { name: 'Test', createdAt: new Date(), shard: 0, transitionStep: null, ...state, ...values };
  await orm.em.fork().insert(Instance, { ...row, id: instanceId, account: accountId, runtimeId });
  return { accountId, instanceId, runtimeId };
}

export interface NewAgent {
  accountId: string;
  instanceId: string;
  agentId: string;
  gatewayAgentId: string;
}

/** An agent that its gateway has. With an instance, its account is given too. */
export async function newAgent(orm: Orm, values: Partial<Agent> = {}): Promise<NewAgent> {
  const { id: agentId = makeId('agt') } = values;
  const { gatewayAgentId = `a${agentId.slice('agt_'.length)}`, slug = gatewayAgentId } = values;
  const { instanceId, accountId } = await instanceOf(orm, values);
  const row = { name: slug, displayName: slug, model: 'fake-model', status: 'active', generation: 0, ...values } as const;
  const keys = { id: agentId, instance: instanceId, account: accountId, slug, gatewayAgentId };
  await orm.em.fork().insert(Agent, { createdAt: new Date(), ...row, ...keys });
  return { accountId, instanceId, agentId, gatewayAgentId };
}

export interface NewTurn extends NewAgent {
  conversationId: string;
  /** Of the reply, which is the turn. */
  messageId: string;
}

/** A turn that has not ended: a message and its reply, whose columns are given, in a conversation of its own. */
export async function newTurn(orm: Orm, agent: NewAgent, values: Partial<Message> = {}): Promise<NewTurn> {
  const { accountId, instanceId, agentId } = agent;
  const [conversationId, messageId, createdAt] = [makeId('conv'), values.id ?? makeId('msg'), new Date()];
  const em = orm.em.fork();
  await em.insert(Conversation, { id: conversationId, agent: agentId, sessionId: conversationId, lastNumber: 1, createdAt });
  const place = { account: accountId, instance: instanceId, agent: agentId, conversation: conversationId, number: 1 };
  const said = { ...place, content: '', senderType: 'user', senderId: 'u1', senderName: 'Test', createdAt, traceId: null };
  await em.insert(Message, { ...said, id: makeId('msg'), role: 'user', status: null });
  await em.insert(Message, { ...said, role: 'agent', status: 'pending', ...values, id: messageId });
  return { ...agent, conversationId, messageId };
}

/** A budget of a whole account for a day, of a dollar. */
export async function newBudget(orm: Orm, values: Partial<Budget> & { account: string }): Promise<{ budgetId: string }> {
  const budgetId = values.id ?? makeId('bud');
  const scope = { instanceId: null, agentId: null, keyId: null, senderId: null, sessionId: null };
  const row = {
    name: 'Test',
    period: 'day',
    limitNanoUsd: 1_000_000_000n,
    warnAt: 80,
    createdAt: new Date(),
    ...scope,
    ...values,
  } as const;
  await orm.em.fork().insert(Budget, { ...row, id: budgetId });
  return { budgetId };
}

async function instanceOf(orm: Orm, { instance, account }: Partial<Agent>): Promise<{ instanceId: string; accountId: string }> {
  if (instance && account) return { instanceId: instance, accountId: account };
  return newInstance(orm, account ? { account } : {});
}
