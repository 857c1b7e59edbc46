import type { EntityManager } from '@mikro-orm/postgresql';
import { findStoredBytes } from '../../database/accounts/stored-bytes.ts';
import { AppError } from '../../domain/errors.ts';
import { turnSettings } from '../../turns/turn-deps.ts';

type TurnConfig = Parameters<typeof turnSettings>[0];

const MEBIBYTE = 1024 ** 2;

/**
 * Throws `payload_too_large` while the account stores all that it may. What runs at the same time is not seen: an account
 * can go beyond by the bodies of its calls that are at work at once.
 */
export async function requireStorage(em: EntityManager, accountId: string, config: TurnConfig): Promise<void> {
  requireStorageLeft(await findStoredBytes(em, accountId), config);
}

/** The same where it is known how many bytes the account stores. */
export function requireStorageLeft(stored: number, config: TurnConfig): void {
  if (stored < turnSettings(config).maxStoredBytes) return;
  const mebibytes = Math.floor(stored / MEBIBYTE);
  const message = `This account stores ${mebibytes} MiB and may store ${config.MAX_STORED_MB_PER_ACCOUNT} MiB. Delete instances, skills or secrets that you no longer need, then try again.`;
  throw new AppError('payload_too_large', message, { reason: 'storage_full' });
}
