import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { noteOffers, renewOffers } from '../../../database/content/model-offers.ts';
import { offersDigest } from '../../../lib/settings/model-offer.ts';
import { newInstance } from '../../factories.ts';
import { offeredModel } from '../../support/offered-model.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const em = () => database.orm.em.fork();
const generationOf = async (instanceId: string) =>
  (
    await em().execute<{ generation: number }[]>('select content_generation::int as generation from instances where id = ?', [
      instanceId,
    ])
  )[0]?.generation;

test('running gateways that know other offers of models, or none, get their content once more, at most so many at once', async () => {
  const running = { bootId: 'boot', epoch: 3 };
  const [other, none, same, stopped] = [
    await newInstance(database.orm, { ...running, modelOffers: 'before' }),
    await newInstance(database.orm, running),
    await newInstance(database.orm, { ...running, modelOffers: 'now' }),
    await newInstance(database.orm, { status: 'stopped', desiredStatus: 'stopped', modelOffers: 'before' }),
  ];
  expect(await renewOffers(em(), { offers: 'now', limit: 1 })).toBe(1);
  expect(await renewOffers(em(), { offers: 'now', limit: 10 })).toBe(1);
  // What is to be applied is not asked for a second time.
  expect(await renewOffers(em(), { offers: 'now', limit: 10 })).toBe(0);
  const generations = await Promise.all([other, none, same, stopped].map(({ instanceId }) => generationOf(instanceId)));
  expect(generations).toEqual([1, 1, 0, 0]);
  const woken = await em().execute<{ id: string }[]>('select subject_id as id from outbox');
  expect(new Set(woken.map(({ id }) => id))).toEqual(new Set([other.instanceId, none.instanceId]));
});

test('an attempt that a newer one has followed does not say what its gateway knows', async () => {
  const { instanceId } = await newInstance(database.orm, { bootId: 'boot', epoch: 3 });
  const offersOf = async () => (await em().execute('select model_offers from instances where id = ?', [instanceId]))[0];
  await noteOffers(em(), { instanceId, epoch: 3, offers: 'newer' });
  await noteOffers(em(), { instanceId, epoch: 2, offers: 'older' });
  expect(await offersOf()).toEqual({ model_offers: 'newer' });
});

test('offers are others when the wire, the sizes or the inputs of a model change, and the same when prices or fall-backs do', () => {
  const model = offeredModel({ upstream: 'm', provider: 'any' });
  const digest = (fields: Partial<typeof model>, kind: 'openai' | 'anthropic' = 'openai') =>
    offersDigest({ MODELS: { m: { ...model, ...fields } }, PROVIDERS: { any: { kind } } });
  const now = digest({});
  for (const other of [digest({}, 'anthropic'), digest({ maxTokens: 1 }), digest({ input: ['text', 'image'] })])
    expect(other).not.toBe(now);
  expect(digest({ priceUsdPerMillion: { input: '1' }, upstream: 'n', accounts: ['acc_1'] })).toBe(now);
});
