import { z } from 'zod';
import { formatUsd } from '../../../domain/money/money.ts';
import type { Invite } from '../../../database/entities/invite.ts';
import { timestamp } from '../../contract/fields.ts';

export const inviteSchema = z.object({
  code: z.string(),
  uses: z.int().meta({ description: 'The number of accounts that can be created with this code.' }),
  usedCount: z.int().meta({ description: 'The number of accounts that were created with this code.' }),
  email: z.string().nullable().meta({ description: 'The only email address that can use the code; `null` for any address.' }),
  creditUsd: z
    .string()
    .nullable()
    .meta({ description: 'The credit of the new account in USD; `null` for the sign-up credit of the installation.' }),
  expiresAt: timestamp.nullable(),
  createdAt: timestamp,
});

/** An invite as operators see it. */
export function presentInvite(invite: Invite): z.input<typeof inviteSchema> {
  return {
    code: invite.code,
    uses: invite.maxUses,
    usedCount: invite.usedCount,
    email: invite.email ?? null,
    creditUsd: invite.creditNanoUsd == null ? null : formatUsd(invite.creditNanoUsd),
    expiresAt: invite.expiresAt?.toISOString() ?? null,
    createdAt: invite.createdAt.toISOString(),
  };
}
