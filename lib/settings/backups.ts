import { z } from 'zod';
import { count } from './values.ts';

/** The settings of scheduled backups, which a worker makes. */
export const backupSettings = {
  BACKUP_DIR: z
    .string()
    .min(1)
    .optional()
    .describe('the folder that a worker writes backups of the database to, which must be there; unset: it makes none'),
  BACKUP_KEEP: count.default(7).describe('how many backups of this installation are kept in `BACKUP_DIR`'),
  BACKUP_EVERY_HOURS: count
    .max(24 * 31)
    .default(24)
    .describe('how old the newest backup gets before the next one is made'),
  BACKUP_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .describe('the database as a user that may read all of it, for backups; unset: `DATABASE_URL`'),
};

export const OF_BACKUP = { BACKUP_DIR: true, BACKUP_KEEP: true, BACKUP_EVERY_HOURS: true, BACKUP_DATABASE_URL: true } as const;
