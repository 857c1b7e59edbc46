import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { quietTemporal } from './quiet-temporal.ts';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { bundleApart } from '../../worker/temporal/bundle-apart.ts';
import { customerDataIn } from './customer-data.ts';
import { HISTORIES_DIR, SHAPES } from './recorded-shapes.ts';

const { History } = proto.temporal.api.history.v1;
const { EventType } = proto.temporal.api.enums.v1;
const log = pino({ level: 'silent' });
quietTemporal(log);

const historyOf = async (shape: string) => History.decode(await readFile(join(HISTORIES_DIR, `${shape}.bin`)));

test('there is one recorded history of every control flow, and no other', async () => {
  const files = (await readdir(HISTORIES_DIR)).filter((name) => name.endsWith('.bin')).map((name) => name.slice(0, -4));
  expect(files.toSorted()).toEqual([...SHAPES]);
});

test.each(SHAPES)('the history of %s is a whole run, from its start to its end', async (shape) => {
  const { events } = await historyOf(shape);
  expect(events.at(0)?.eventType).toBe(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
  expect(events.at(-1)?.eventType).toBe(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
});

test('the histories are of the flows that they are named after', async () => {
  const has = async (shape: string, type: (typeof EventType)[keyof typeof EventType]) =>
    (await historyOf(shape)).events.some(({ eventType }) => eventType === type);
  for (const shape of ['newer-generation-during-a-step', 'destroy-during-start'])
    expect(await has(shape, EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED)).toBe(true);
  expect(await has('failing-start-to-error', EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED)).toBe(true);
  expect(await has('failing-start-to-error', EventType.EVENT_TYPE_TIMER_STARTED)).toBe(true);
});

describe('the present workflows', () => {
  let workflowBundle: { code: string };
  beforeAll(async () => {
    workflowBundle = await bundleApart(cacheDirOf(process.env));
  });

  test.each(SHAPES)('replay the history of %s', async (shape) => {
    await Worker.runReplayHistory({ workflowBundle }, await historyOf(shape));
  });

  test('share no state: many runs one after the other in one context stay apart', async () => {
    const histories = await Promise.all(SHAPES.flatMap((shape) => [historyOf(shape), historyOf(shape)]));
    const named = histories.map((history, index) => ({ workflowId: `replayed-${index}`, history }));
    for await (const { error } of Worker.runReplayHistories({ workflowBundle }, named)) expect(error).toBeUndefined();
  });
});

describe('what Temporal keeps', () => {
  test.each(SHAPES)('of %s is ids, enums, integers, times and booleans only', async (shape) => {
    expect(customerDataIn(await historyOf(shape))).toEqual([]);
  });

  test('is searched to the bottom: free text is found wherever it stands', async () => {
    const history = await historyOf('failing-start-to-error');
    const failed = history.events.find(({ activityTaskFailedEventAttributes }) => activityTaskFailedEventAttributes);
    const failure = failed?.activityTaskFailedEventAttributes?.failure;
    if (!failure) throw new Error('no failure was recorded');
    failure.message = 'The secret of the customer is 42';
    failure.stackTrace = 'at /home/customer/agent.ts:1:1';
    const [started] = history.events;
    const payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{"name":"My first agent"}') };
    started?.workflowExecutionStartedEventAttributes?.input?.payloads?.push(payload);
    expect(customerDataIn(history)).toEqual([
      'My first agent',
      'The secret of the customer is 42',
      'at /home/customer/agent.ts:1:1',
    ]);
  });
});
