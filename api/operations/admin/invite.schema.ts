import { z } from 'zod';
import { formatUsd } from '../../../domain/money.ts';
import type { Invite } from '../../../database/entities/invite.ts';
import { timestamp } from '../../fields.ts';

export const inviteSchema = z.object({
  code: z.string(),
  uses: z.int().meta({ description: 'How many accounts it can make.' }),
  usedCount: z.int(),
  email: z.string().nullable().meta({ description: 'The only address that can use it; null for any.' }),
  creditUsd: z.string().nullable().meta({ description: 'Replaces the sign-up credit; null: it does not.' }),
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
