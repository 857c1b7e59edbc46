import type { MikroORM } from '@mikro-orm/postgresql';
import type { Notifications } from '../../database/notifications.ts';
import type { MakeId } from '../../domain/ids.ts';
import type { Random } from '../../domain/webhooks/retry-schedule.ts';
import type { AttemptOutcome } from '../../domain/webhooks/webhook-health.ts';
import type { Clock } from '../../lib/async/clock.ts';
import type { Config } from '../../lib/settings/config.ts';
import type { Encryption } from '../../lib/crypto/encryption.ts';
import type { Log } from '../../lib/log.ts';
import type { SafeFetch } from '../../lib/net/safe-fetch.ts';

/** What deliveries are made with. */
export interface DeliveryDeps {
  orm: MikroORM;
  notifications: Pick<Notifications, 'on'>;
  encryption: Pick<Encryption, 'decrypt'>;
  safeFetch: Pick<SafeFetch, 'post'>;
  makeId: MakeId;
  clock: Clock;
  /** For how many days what is kept for a time is kept. */
  keep: Pick<Config, 'AUDIT_DAYS' | 'MODEL_CALL_DAYS' | 'TOMBSTONE_DAYS'>;
  monotonicMs: () => number;
  random: Random;
  log: Log;
  /** Aborted when this worker is about to end: what is left is handed over to another one. */
  drain: AbortSignal;
  /** How long one round of sending lasts at most; five minutes by default. */
  busyMs?: number;
  /** Counts how attempts go. */
  onAttempt: (result: AttemptOutcome['result']) => void;
}
