import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment, nanoUsd } from './columns.ts';

const InviteSchema = defineEntity({
  name: 'Invite',
  tableName: 'invites',
  checks: [{ name: 'invites_not_overused', expression: 'used_count <= max_uses' }],
  properties: {
    code: p.text().primary(),
    maxUses: p.integer(),
    usedCount: p.integer().default(0),
    email: p.text().strictNullable(),
    creditNanoUsd: nanoUsd().strictNullable(),
    expiresAt: moment().strictNullable(),
    createdAt: moment(),
  },
});

/** A code that lets a limited number of people register. */
export class Invite extends InviteSchema.class {}
InviteSchema.setClass(Invite);
