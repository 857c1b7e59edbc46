import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter, moment } from './columns.ts';
import { Runtime } from './runtime.ts';

/** `warming`: no instance may take it now. `ending`: none will ever take it. */
export const POOL_STATES = ['warming', 'ready', 'ending'] as const;
export type PoolState = (typeof POOL_STATES)[number];

const PoolMemberSchema = defineEntity({
  name: 'PoolMember',
  tableName: 'pool_members',
  checks: [{ name: 'pool_members_state_known', expression: "state in ('warming', 'ready', 'ending')" }],
  properties: {
    runtime: () =>
      p
        .oneToOne(Runtime)
        .primary()
        .mapToPk()
        .foreignKeyName('pool_members_runtime_fk')
        .owner()
        .unique(false)
        .deleteRule('cascade')
        .updateRule('no action'),
    state: p.text().$type<PoolState>(),
    /** Carried by every change that the pool makes to the runtime. */
    epoch: counter(),
    /** What it was made of, by its digest: a member of another recipe is replaced. */
    recipe: p.text(),
    /** When it was ready for the first time; null: it never was. */
    readyAt: moment().strictNullable().default(null),
  },
});

/** A gateway that was started before an instance asked. The row goes when an instance takes the runtime. */
export class PoolMember extends PoolMemberSchema.class {}
PoolMemberSchema.setClass(PoolMember);
