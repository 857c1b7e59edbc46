import { z } from 'zod';
import type { UnownedRuntime } from '../../../database/entities/unowned-runtime.ts';
import { AppError } from '../../../domain/errors.ts';
import { RUNTIME_ID } from '../../../runtime/host/runtime-layout.ts';
import { timestamp } from '../../contract/fields.ts';

const DAY_MS = 24 * 60 * 60_000;

export const runtimeParams = z.object({
  runtimeId: z.string().regex(RUNTIME_ID).meta({ example: 'run_a1b2c3d4e5f6g7h8i9j0' }),
});

export const unownedRuntime = z
  .object({
    runtimeId: z.string().meta({ description: 'The id of the runtime, which is also the name of its directory or volume.' }),
    state: z.enum(['quarantined', 'left', 'deleting']).meta({
      description:
        '`quarantined`: the gateway is stopped and its storage is moved to the quarantine. `left`: the sweep found too many unowned runtimes at once and changed none of them. `deleting`: an operator asked for the deletion.',
    }),
    foundAt: timestamp.meta({ description: 'When a sweep first found the runtime without an owner.' }),
    quarantinedAt: timestamp.nullable().meta({ description: 'When the runtime was quarantined; `null` when it is not.' }),
    deletedAfter: timestamp
      .nullable()
      .meta({ description: 'The time after which the storage is deleted; `null` when it is kept until an operator deletes it.' }),
  })
  .meta({ id: 'UnownedRuntime' });

export function noSuchRuntime(): AppError {
  return new AppError(
    'not_found',
    'There is no unowned runtime with this id. GET /admin/quarantine lists those of the last sweep.',
  );
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
