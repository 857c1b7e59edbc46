import { defineEntity, p } from '@mikro-orm/postgresql';
import { counter, moment } from './columns.ts';
import { Instance } from './instance.ts';

const InstanceSkillSchema = defineEntity({
  name: 'InstanceSkill',
  tableName: 'instance_skills',
  uniques: [{ name: 'instance_skills_name_unique', properties: ['instance', 'name'] }],
  checks: [
    { name: 'instance_skills_type_known', expression: "type in ('built-in', 'custom')" },
    { name: 'instance_skills_status_known', expression: "status in ('pending', 'active', 'error')" },
  ],
  properties: {
    id: p.text().primary(),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('instance_skills_instance_fk').index(false),
    name: p.text(),
    type: p.text().$type<'built-in' | 'custom'>(),
    description: p.text(),
    /** The variables that it asks for: it gets those of them that are secrets of the instance. */
    requiresEnv: p.array().default([]),
    /** Under which a gateway keeps its settings. Null: an earlier version wrote the row, and SKILL.md alone says it. */
    settingsKey: p.text().nullable(),
    status: p.text().$type<'pending' | 'active' | 'error'>().default('pending'),
    /** The content generation that installed it. */
    generation: counter(),
    createdAt: moment(),
  },
});

/** A skill that all agents of an instance have. */
export class InstanceSkill extends InstanceSkillSchema.class {}
InstanceSkillSchema.setClass(InstanceSkill);
