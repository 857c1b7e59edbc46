import { defineEntity, p } from '@mikro-orm/postgresql';
import { InstanceSkill } from './instance-skill.ts';

const SkillFileSchema = defineEntity({
  name: 'SkillFile',
  tableName: 'skill_files',
  properties: {
    skill: () =>
      p
        .manyToOne(InstanceSkill)
        .mapToPk()
        .primary()
        .foreignKeyName('skill_files_skill_fk')
        .updateRule('no action')
        .deleteRule('cascade'),
    path: p.text().primary(),
    content: p.text(),
  },
});

/** A file of a custom skill. */
export class SkillFile extends SkillFileSchema.class {}
SkillFileSchema.setClass(SkillFile);
