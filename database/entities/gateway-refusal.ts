import { defineEntity, p } from '@mikro-orm/postgresql';
import type { RefusalSign } from '../../domain/gateway-verdict.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const GatewayRefusalSchema = defineEntity({
  name: 'GatewayRefusal',
  tableName: 'gateway_refusals',
  properties: {
    instance: () => p.manyToOne(Instance).mapToPk().primary().foreignKeyName('gateway_refusals_instance_fk'),
    /** The gateway process that refused. */
    bootId: p.text().primary(),
    /** Its conversation, or the session of a job; the sign itself where it is about the process as a whole. */
    conversationId: p.text().primary(),
    /** Of the last refusal. */
    sign: p.text().$type<RefusalSign>(),
    times: p.integer(),
    firstAt: moment(),
    lastAt: moment(),
  },
});

/** That a gateway process refused the turns of a conversation, until it answers it or is replaced. */
export class GatewayRefusal extends GatewayRefusalSchema.class {}
GatewayRefusalSchema.setClass(GatewayRefusal);
