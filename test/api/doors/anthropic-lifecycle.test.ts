import { BadRequestError, ConflictError, NotFoundError } from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { deliverDue, deliverInitial } from '../../../api/doors/anthropic/events/initial-events.ts';
import { eventually } from '../../support/eventually.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import { said, startAnthropicDoor } from './anthropic-agent.ts';
import type { AnthropicDoor } from './anthropic-agent.ts';

let door: AnthropicDoor;

beforeAll(async () => {
  door = await startAnthropicDoor((await startScripted()).gateway, { MAX_INSTANCES_PER_ACCOUNT: '50' });
});
afterAll(() => door?.close());

const beta = () => door.anthropic.beta;
const newAgent = async () => (await beta().agents.create({ name: 'a', model: 'first' })).id;
const open = async (fields: object = {}) =>
  beta().sessions.create({ agent: await newAgent(), environment_id: door.environmentId, ...fields });
const texts = async (sessionId: string) => {
  const messages = await door.api.sql<{ content: string }>(
    `select m.content from messages m join conversations c on c.id = m.conversation_id
      where c.session_id = ? order by m.number, m.role desc`,
    [sessionId],
  );
  return messages.map(({ content }) => content);
};
const limit = (cents: string) => ({ type: 'limit' as const, max_list_cost: { amount: cents, currency: 'USD' as const } });
const budgetsOf = async (sessionId: string) => {
  const { budgets } = await door.account.ok('GET', '/budgets');
  return budgets.filter(({ scope }: { scope: { sessionId?: string } }) => scope.sessionId === sessionId);
};

describe('initial events of a session', () => {
  test('wait for the environment and the agent, and are said once, before what is sent later', async () => {
    const session = await open({ initial_events: [said('[[SAY One]]'), said('[[SAY Two]]')] });
    expect(session.status).toBe('running');
    await deliverInitial(door.api.deps, session.id);
    expect(await texts(session.id)).toEqual([]);
    await door.activate(session.id);
    await Promise.all([
      deliverInitial(door.api.deps, session.id),
      deliverInitial(door.api.deps, session.id),
      beta().sessions.events.send(session.id, { events: [said('[[SAY Three]]')] }),
    ]);
    await eventually(async () =>
      expect(await texts(session.id)).toEqual(['[[SAY One]]', 'One', '[[SAY Two]]', 'Two', '[[SAY Three]]', 'Three']),
    );
    const { data } = await beta().sessions.events.list(session.id);
    expect(data.filter(({ type }) => type === 'user.message')).toHaveLength(3);
  });

  test('are sent by another process, once they are due, where that which took them has died', async () => {
    const { id } = await open({ initial_events: [said('[[SAY Late]]')] });
    await door.api.deps.background.idle();
    const due = () =>
      door.api.sql<{ isDue: boolean }>('select initial_due_at is not null as "isDue" from claude_sessions where id = ?', [id]);
    expect(await due()).toEqual([{ isDue: true }]);
    await deliverDue(door.api.deps);
    await door.activate(id);
    await door.api.sql('update claude_sessions set initial_due_at = now() where id = ? returning id', [id]);
    await deliverDue(door.api.deps);
    await eventually(async () => expect(await texts(id)).toEqual(['[[SAY Late]]', 'Late']));
    expect(await due()).toEqual([{ isDue: false }]);
  });

  test('are ended by an interrupt that comes before them', async () => {
    const { id } = await open({ initial_events: [said('Never')] });
    await door.api.deps.background.idle();
    await door.activate(id);
    await door.api.sql(`update instances set status = 'provisioning' where id = ? returning id`, [door.instanceId]);
    await beta().sessions.events.send(id, { events: [{ type: 'user.interrupt' }] });
    await door.api.sql(`update instances set status = 'running' where id = ? returning id`, [door.instanceId]);
    await deliverInitial(door.api.deps, id);
    expect([await texts(id), (await beta().sessions.retrieve(id)).status]).toEqual([[], 'idle']);
  });

  describe('that are never accepted', () => {
    const grow = (id: string, hours: number) =>
      door.api.sql(
        `update claude_sessions set created_at = now() - make_interval(hours => ?), initial_due_at = now() where id = ? returning id`,
        [hours, id],
      );
    const due = () => door.api.sql('select id from claude_sessions where initial_due_at is not null');

    test('are given up after a day, each as a turn that has failed and says why', async () => {
      const { id } = await open({ initial_events: [said('One'), said('Two')] });
      await door.api.deps.background.idle();
      await grow(id, 23);
      await deliverDue(door.api.deps);
      expect((await beta().sessions.retrieve(id)).status).toBe('running');
      await grow(id, 25);
      await deliverDue(door.api.deps);
      const [{ data }, { status }] = await Promise.all([beta().sessions.events.list(id), beta().sessions.retrieve(id)]);
      const told = ['user.message', 'session.status_running', 'session.error', 'session.status_idle'];
      expect([status, data.map(({ type }) => type)]).toEqual(['idle', [...told, ...told]]);
      expect(data[2]).toMatchObject({
        error: { message: expect.stringMatching(/^The environment did not accept this message: The /) },
      });
      expect(await texts(id)).toEqual(['One', '', 'Two', '']);
      expect(await due()).toEqual([]);
      await door.activate(id);
      await beta().sessions.events.send(id, { events: [said('[[SAY Three]]')] });
      await eventually(async () => expect(await texts(id)).toEqual(['One', '', 'Two', '', '[[SAY Three]]', 'Three']));
    });

    test('are given up at once where the model of their agent is no longer offered, or the agent is gone', async () => {
      const { id } = await open({ initial_events: [said('One')] });
      await door.api.deps.background.idle();
      await door.activate(id);
      await door.api.sql(
        `update agents set model = 'gone' where id = (select agent_id from claude_sessions where id = ?) returning id`,
        [id],
      );
      await deliverInitial(door.api.deps, id);
      expect((await beta().sessions.events.list(id)).data[2]).toMatchObject({
        type: 'session.error',
        error: { message: expect.stringContaining('no longer available') },
      });
      const other = await open({ initial_events: [said('One')] });
      await door.api.deps.background.idle();
      await door.api.sql(
        `update agents set status = 'deleting', deleted_at = now() where id = (select agent_id from claude_sessions where id = ?) returning id`,
        [other.id],
      );
      await deliverInitial(door.api.deps, other.id);
      expect([await texts(other.id), (await beta().sessions.retrieve(other.id)).status, await due()]).toEqual([[], 'idle', []]);
    });
  });

  test.each([
    [[{ type: 'user.define_outcome', description: 'a' }], 'initial_events.0.type'],
    [[{ type: 'user.message', content: [] }], 'initial_events.0.content'],
    [Array.from({ length: 21 }, () => said('a')), 'initial_events'],
  ])('that cannot be had are 400, naming the field: %#', async (events, field) => {
    const refused = open({ initial_events: events });
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toThrow(field);
  });
});

describe('the budget of a session', () => {
  test('is a budget of ours for its conversation, which is changed and removed with it', async () => {
    const session = await open({ budget: limit('2500') });
    expect(session.budget).toEqual(limit('2500'));
    const [budget] = await budgetsOf(session.id);
    expect(budget).toMatchObject({ scope: { sessionId: session.id }, period: 'total', limitUsd: '25.00' });
    const changed = await beta().sessions.update(session.id, { budget: limit('50') });
    expect([changed.budget, (await budgetsOf(session.id))[0].limitUsd]).toEqual([limit('50'), '0.50']);
    expect((await beta().sessions.list({ limit: 1 })).data[0]?.budget).toEqual(limit('50'));
    expect((await beta().sessions.update(session.id, { budget: null })).budget).toBeNull();
    expect(await budgetsOf(session.id)).toEqual([]);
    const adding = beta().sessions.update(session.id, { budget: limit('50') });
    await expect(adding).rejects.toBeInstanceOf(BadRequestError);
  });

  test('goes with its session and its environment', async () => {
    const { id } = await open({ budget: limit('100') });
    await beta().sessions.delete(id);
    expect(await budgetsOf(id)).toEqual([]);
    const environment = await beta().environments.create({ name: 'Short' });
    const other = await open({ environment_id: environment.id, budget: limit('100') });
    await beta().environments.delete(environment.id);
    expect(await budgetsOf(other.id)).toEqual([]);
  });

  test('goes with the instance of its environment, and no other budget does', async () => {
    const environment = await beta().environments.create({ name: 'Short' });
    const [gone, kept] = [
      await open({ environment_id: environment.id, budget: limit('100') }),
      await open({ budget: limit('100') }),
    ];
    await door.account.ok('DELETE', `/instances/${environment.id.replace('env_', 'inst_')}`);
    expect([await budgetsOf(gone.id), (await budgetsOf(kept.id)).length]).toEqual([[], 1]);
  });

  test('refuses a message that it has no room for with 402', async () => {
    const { id } = await open({ budget: limit('1') });
    await door.activate(id);
    await door.api.sql(
      `insert into budget_spends (budget_id, key, period_start, tokens_nano_usd)
       select id, '', budget_period_start(period, now()), limit_nano_usd from budgets where session_id = ?
           on conflict (budget_id, key, period_start) do update set tokens_nano_usd = excluded.tokens_nano_usd returning budget_id`,
      [id],
    );
    const refused = beta().sessions.events.send(id, { events: [said('Hello')] });
    await expect(refused).rejects.toMatchObject({
      status: 402,
      type: 'billing_error',
      error: { error: { reason: 'budget_reached' } },
    });
  });

  test.each(['0', '12.5', '-1', 'much'])('of %s cents is 400', async (amount) => {
    await expect(open({ budget: limit(amount) })).rejects.toThrow('budget.max_list_cost.amount');
  });
});

describe('a session that was opened', () => {
  test('has its title and metadata changed, and keeps what is not given', async () => {
    const session = await open({ title: 'One', metadata: { a: '1', b: '2' } });
    const changed = await beta().sessions.update(session.id, { metadata: { a: null, c: '3' } });
    expect(changed).toMatchObject({ title: 'One', metadata: { b: '2', c: '3' }, status: 'idle' });
    expect((await beta().sessions.update(session.id, { title: null })).title).toBeNull();
    await expect(beta().sessions.update(session.id, { vault_ids: ['vlt_a'] })).rejects.toThrow('vault_ids');
    await expect(beta().sessions.update(session.id, { agent: { tools: [] } })).rejects.toThrow('agent');
  });

  test('takes no events once it is archived, is read, and is listed where archived ones are asked for', async () => {
    const sessionId = await door.openSession();
    await beta().sessions.events.send(sessionId, { events: [said('[[SAY Hi]]')] });
    const archived = await beta().sessions.archive(sessionId);
    expect(archived.archived_at).toEqual(expect.any(String));
    expect(await beta().sessions.archive(sessionId)).toMatchObject({ archived_at: archived.archived_at });
    await expect(beta().sessions.events.send(sessionId, { events: [said('a')] })).rejects.toBeInstanceOf(ConflictError);
    await expect(beta().sessions.update(sessionId, { title: 'a' })).rejects.toBeInstanceOf(ConflictError);
    expect((await beta().sessions.events.list(sessionId)).data.length).toBeGreaterThan(0);
    const ids = async (params: object) => (await beta().sessions.list(params)).data.map(({ id }) => id);
    expect([(await ids({})).includes(sessionId), (await ids({ include_archived: true })).includes(sessionId)]).toEqual([
      false,
      true,
    ]);
  });

  test('needs the newest version of its agent: a stale one is 409', async () => {
    const id = await newAgent();
    await beta().agents.update(id, { version: 1, name: 'b' });
    const stale = beta().sessions.create({ agent: { type: 'agent', id, version: 1 }, environment_id: door.environmentId });
    await expect(stale).rejects.toBeInstanceOf(ConflictError);
  });
});

describe('an environment', () => {
  test('that an instance is has its name, description, metadata and configuration changed', async () => {
    const { environmentId } = door;
    const changed = await beta().environments.update(environmentId, {
      name: 'Renamed',
      description: 'Mine',
      metadata: { team: 'a', old: '1' },
      config: { type: 'cloud', networking: { type: 'unrestricted' } },
    });
    expect(changed).toMatchObject({ name: 'Renamed', description: 'Mine', metadata: { team: 'a', old: '1' } });
    expect(await door.account.ok('GET', `/instances/${door.instanceId}`)).toMatchObject({
      name: 'Renamed',
      metadata: { team: 'a' },
    });
    const next = await beta().environments.update(environmentId, { metadata: { old: '', team: 'b' } });
    expect(next).toMatchObject({ name: 'Renamed', description: 'Mine', metadata: { team: 'b' } });
    expect(await beta().environments.retrieve(environmentId)).toEqual(next);
    await expect(beta().environments.update('env_nothing', { name: 'a' })).rejects.toBeInstanceOf(NotFoundError);
    const limited = beta().environments.update(environmentId, { config: { type: 'self_hosted' } });
    await expect(limited).rejects.toThrow('config.type');
  });

  test('that is archived opens no session, and its sessions go on', async () => {
    const { id } = await beta().environments.create({ name: 'Old' });
    const session = await open({ environment_id: id });
    const archived = await beta().environments.archive(id);
    expect([archived.archived_at, (await beta().environments.archive(id)).archived_at]).toEqual([
      expect.any(String),
      archived.archived_at,
    ]);
    await expect(open({ environment_id: id })).rejects.toThrow('environment_id');
    expect((await beta().sessions.retrieve(session.id)).environment_id).toBe(id);
    const ids = async (params: object) => (await beta().environments.list(params)).data.map((one) => one.id);
    expect([(await ids({})).includes(id), (await ids({ include_archived: true })).includes(id)]).toEqual([false, true]);
    expect(await ids({})).toContain(door.environmentId);
  });
});
