import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityFailure,
  condition,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { SendingResult } from '../activities/webhooks/sending-result.ts';
import { WAKE_SIGNAL } from '../domain/temporal/workflow-ids.ts';
import { sendDeliveries } from './proxy-webhook-activities.ts';

const wake = defineSignal(WAKE_SIGNAL);

const OPERATION = defineSearchAttributeKey('Operation', 'KEYWORD');

/** What is due later is left to the sweep. */
const LONGEST_SLEEP_MS = 10 * 60_000;
/** Nor does a run grow old while it waits from one retry to the next. */
const LONGEST_RUN_MS = 10 * 60_000;

/**
 * Delivers for one webhook for as long as it has something to send within the next ten minutes. What is due stands in
 * the database only: a signal has no payload and only causes another look. Only one run of a webhook is open at a time, so
 * no other run sends for it. However much waits for an endpoint that is away, it is one open run with a short history.
 */
export async function deliverWebhook({ webhookId }: { webhookId: string }): Promise<void> {
  const bell = { rang: true, atMs: 0 };
  setHandler(wake, () => {
    bell.rang = true;
    bell.atMs = Date.now();
  });
  upsertSearchAttributes([{ key: OPERATION, value: 'deliver' }]);
  const begunAt = Date.now();
  // No await between the last look at the bell and the end: a signal that comes with the end starts another round.
  while (bell.rang) {
    bell.rang = false;
    setCurrentDetails(`Sending to ${webhookId} since ${new Date().toISOString()}.`);
    const result = await send(webhookId);
    // What the signals so far announced is left to the next run too. Otherwise the first signals of a busy endpoint would keep this run open.
    if (result?.isHandedOver && bell.atMs < Date.now()) bell.rang = false;
    const sleepMs = result ? sleepOf(result) : null;
    setCurrentDetails(detailsOf(webhookId, result));
    if (sleepMs === null || Date.now() + sleepMs - begunAt > LONGEST_RUN_MS) continue;
    await condition(() => bell.rang, sleepMs);
    bell.rang = true;
  }
}

/** Null when it could not be done for half an hour: a sweep begins anew. */
async function send(webhookId: string): Promise<SendingResult | null> {
  try {
    return await sendDeliveries({ webhookId });
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return null;
  }
}

/** How long to sleep until the next one may be sent; null when this run has nothing to wait for. */
function sleepOf({ nextInMs, isHandedOver }: SendingResult): number | null {
  return nextInMs === null || isHandedOver || nextInMs > LONGEST_SLEEP_MS ? null : Math.max(1, nextInMs);
}

/** What operators read in the Temporal Web UI. While the endpoint rests nothing is counted again, so the text says when it was counted. */
function detailsOf(webhookId: string, result: SendingResult | null): string {
  if (!result) return `The deliveries for ${webhookId} could not be worked on. A sweep begins anew within a minute.`;
  const { waiting, failures, nextInMs, isHandedOver } = result;
  const now = new Date().toISOString();
  if (waiting === 0) return `Nothing waited for ${webhookId} at ${now}.`;
  const row = failures === 0 ? '' : ` after ${failures} failed in a row`;
  const next = isHandedOver
    ? 'The next run goes on'
    : nextInMs === null
      ? 'Nothing is sent until it is enabled'
      : `Next attempt at ${new Date(Date.now() + nextInMs).toISOString()}`;
  return `${waiting} deliveries waited for ${webhookId} at ${now}. ${next}${row}.`;
}
