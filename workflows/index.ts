export { deliverWebhook } from './deliver-webhook.ts';
export { moveInstances } from './move-instances.ts';
export { reconcileInstance } from './reconcile-instance.ts';
export { sweepBilling } from './sweep-billing.ts';
export { sweepDrift } from './sweep-drift.ts';
export { sweepRetention, sweepWebhooks } from './sweep-webhooks.ts';
