import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const WaitingAttachmentsSchema = defineEntity({
  name: 'WaitingAttachments',
  tableName: 'waiting_attachments',
  indexes: [
    { name: 'waiting_attachments_created_index', properties: ['createdAt'] },
    { name: 'waiting_attachments_instance_index', properties: ['instance'] },
  ],
  properties: {
    /** The id that the message will have. */
    requestMessageId: p.text().primary(),
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .foreignKeyName('waiting_attachments_instance_fk')
        .updateRule('no action')
        .deleteRule('cascade')
        .index(false),
    runtimeId: p.text(),
    gatewayAgentId: p.text(),
    /** In the workspace. */
    paths: p.json<string[]>(),
    createdAt: moment(),
    /** Since when they are being removed: the message is not accepted any more. */
    removingAt: moment().strictNullable().default(null),
  },
});

/** Files in a workspace for a message that is not accepted yet. The row goes when it is; one that stays names what is to be removed. */
export class WaitingAttachments extends WaitingAttachmentsSchema.class {}
WaitingAttachmentsSchema.setClass(WaitingAttachments);
