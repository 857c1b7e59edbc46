import { z } from 'zod';
import type { UnownedRuntime } from '../../../database/entities/unowned-runtime.ts';
import { AppError } from '../../../domain/errors.ts';
import { RUNTIME_ID } from '../../../runtime/process/runtime-layout.ts';
import { timestamp } from '../../fields.ts';

const DAY_MS = 24 * 60 * 60_000;

export const runtimeParams = z.object({
  runtimeId: z.string().regex(RUNTIME_ID).meta({ example: 'run_a1b2c3d4e5f6g7h8i9j0' }),
});

export const unownedRuntime = z
  .object({
    runtimeId: z.string().meta({ description: 'Names its directory, and its volume.' }),
    state: z.enum(['quarantined', 'left', 'deleting']).meta({
      description:
        '`quarantined`: it is stopped and its storage is set aside. `left`: too many were found at once, so it is as it was found.',
    }),
    foundAt: timestamp,
    quarantinedAt: timestamp.nullable(),
    deletedAfter: timestamp.nullable().meta({ description: 'When its storage is deleted; null: not by itself.' }),
  })
  .meta({ id: 'UnownedRuntime' });

export function noSuchRuntime(): AppError {
  return new AppError('not_found', 'The last sweep found no runtime with this id that no instance owns');
}

/** A runtime that no instance owns, as operators see it. */
export function presentUnowned(row: UnownedRuntime, quarantineDays: number): z.input<typeof unownedRuntime> {
  const { runtimeId, foundAt, quarantinedAt, deleteAskedAt } = row;
  const deletedAfter = deleteAskedAt ?? (quarantinedAt && new Date(quarantinedAt.getTime() + quarantineDays * DAY_MS));
  return {
    runtimeId,
    state: deleteAskedAt ? 'deleting' : quarantinedAt ? 'quarantined' : 'left',
    foundAt: foundAt.toISOString(),
    quarantinedAt: quarantinedAt?.toISOString() ?? null,
    deletedAfter: deletedAfter?.toISOString() ?? null,
  };
}
