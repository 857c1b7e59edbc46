import { defineEntity, p } from '@mikro-orm/postgresql';
import { Instance } from './instance.ts';

const EventOccurrenceSchema = defineEntity({
  name: 'EventOccurrence',
  tableName: 'event_occurrences',
  properties: {
    instance: () => p.manyToOne(Instance).mapToPk().primary().foreignKeyName('event_occurrences_instance_fk'),
    /** The gateway's name of what happened: when it is read back a second time, no second event is recorded. */
    key: p.text().primary(),
  },
});

/** Outlives the retention of events, so that old history read back never becomes news. */
export class EventOccurrence extends EventOccurrenceSchema.class {}
EventOccurrenceSchema.setClass(EventOccurrence);
