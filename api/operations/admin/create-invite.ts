import { z } from 'zod';
import { Invite } from '../../../database/entities/invite.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { amountUsdField, emailField, givenTime, requireFuture } from '../../contract/fields.ts';
import { inviteSchema, presentInvite } from './invite.schema.ts';

export const createInvite = defineOperation({
  method: 'POST',
  path: '/admin/invites',
  operationId: 'invites.create',
  summary: 'Create an invite code',
  tag: 'operator',
  auth: 'operator',
  audit: 'invites.create',
  rateLimit: 'none',
  idempotent: true,
  body: z.object({
    uses: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(1)
      .meta({ description: 'The number of accounts that can be created with this code.' }),
    email: emailField
      .optional()
      .meta({ description: 'The only email address that can use the code. Registration with the code verifies the address.' }),
    creditUsd: amountUsdField
      .optional()
      .meta({ description: 'The credit of the new account in USD, instead of the sign-up credit of the installation.' }),
    expiresAt: givenTime.optional().meta({ description: 'When the code expires. By default, it does not expire.' }),
  }),
  success: { status: 201, schema: inviteSchema, credential: true },
  errors: [],

  async handle({ body, em, deps }) {
    const createdAt = deps.clock();
    requireFuture('expiresAt', body.expiresAt, createdAt);
    const invite = em.create(Invite, {
      code: deps.makeId('inv'),
      maxUses: body.uses,
      usedCount: 0,
      email: body.email ?? null,
      creditNanoUsd: body.creditUsd ?? null,
      expiresAt: body.expiresAt ?? null,
      createdAt,
    });
    return presentInvite(invite);
  },
  auditSubject: ({ code }) => ({ target: code }),
});
