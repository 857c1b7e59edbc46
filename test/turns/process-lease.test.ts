import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { renewProcess } from '../../database/processes/process-lease.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import type { ProcessLease } from '../../turns/process-lease.ts';
import { eventually } from '../support/eventually.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let lease: ProcessLease;

beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());
afterEach(() => lease.stop());

async function startLease(): Promise<string> {
  lease = createProcessLease({ orm: turns.orm, kind: 'api', makeId: createIdMaker(randomBytes), log: turns.deps.log });
  expect(lease.id()).toBeNull();
  await lease.start();
  return lease.id()!;
}

const seen = (id: string) => turns.rows<{ seen: string }>('select seen_at::text as seen from processes where id = ?', [id]);

describe('a process owns things for as long as it is seen', () => {
  test('it shows itself again and again under one id', async () => {
    const id = await startLease();
    const [first] = await seen(id);

    await eventually(async () => expect(await seen(id)).not.toEqual([first]));
    expect(lease.id()).toBe(id);
  });

  test('once it was silent for too long it comes back under a new id, and the old one is gone for good', async () => {
    const id = await startLease();
    await turns.forgetProcess(id);

    await eventually(() => expect(lease.id()).not.toBe(id));

    await eventually(async () => expect(await seen(id)).toEqual([]));
    expect(await renewProcess(turns.orm.em.fork(), id)).toBe(false);
    expect(await seen(lease.id()!)).toHaveLength(1);
  });

  test('a process that ends gives everything back at once', async () => {
    const id = await startLease();

    await lease.stop();

    expect(lease.id()).toBeNull();
    expect(await seen(id)).toEqual([]);
  });
});
