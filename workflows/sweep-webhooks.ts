import * as activities from './proxy-webhook-activities.ts';

/** Wakes webhooks that have something to send and no run that delivers for them. */
export async function sweepWebhooks(): Promise<void> {
  await activities.sweepWebhooks();
}

/** Removes what is older than it is kept. */
export async function sweepRetention(): Promise<void> {
  await activities.sweepRetention();
}
