/** The workflow types, as Temporal and the outbox name them. */
export const RECONCILE_INSTANCE = 'reconcileInstance';
export const SWEEP_DRIFT = 'sweepDrift';
export const SWEEP_BILLING = 'sweepBilling';
export const DELIVER_WEBHOOK = 'deliverWebhook';
export const SWEEP_WEBHOOKS = 'sweepWebhooks';
export const SWEEP_RETENTION = 'sweepRetention';

/** Moves all instances of some nodes to others. */
export const MOVE_INSTANCES = 'moveInstances';
/** Only one fleet moves at a time. */
export const MOVE_INSTANCES_ID = 'move/instances';
/** An operator sends these to it. */
export const PAUSE_SIGNAL = 'pause';
export const RESUME_SIGNAL = 'resume';

/** The signal that says "look again". It carries nothing. */
export const WAKE_SIGNAL = 'wake';

/** The schedules that sweep each minute, and the prefixes of their runs. */
export const SWEEP_DRIFT_ID = 'sweep/drift';
export const SWEEP_BILLING_ID = 'sweep/billing';

/** The schedule that wakes webhooks each minute, and the one that removes each hour what is too old. */
export const SWEEP_WEBHOOKS_ID = 'sweep/webhooks';
export const SWEEP_RETENTION_ID = 'sweep/retention';

/** The only workflow of an instance: while a run is open, no other run works on the instance. */
export function instanceWorkflowId(instanceId: string): string {
  return `instance/${instanceId}`;
}

/** What the Temporal Web UI shows of the workflow of an instance. */
export function instanceWorkflowSummary(instanceId: string): string {
  return `reconcile ${instanceId}`;
}

/** The only workflow of a webhook: while a run is open, no other run delivers for the webhook. */
export function webhookWorkflowId(webhookId: string): string {
  return `webhook/${webhookId}`;
}

/** What the Temporal Web UI shows of the workflow of a webhook. */
export function webhookWorkflowSummary(webhookId: string): string {
  return `deliver ${webhookId}`;
}
