import { Migration } from '@mikro-orm/migrations';

/** Under which a gateway keeps the settings of a skill. What was there before, and what an older process writes, has none. */
export class SkillSettingsKey extends Migration {
  override up(): void {
    this.addSql('alter table instance_skills add column settings_key text null');
  }

  override down(): void {
    this.addSql('alter table instance_skills drop column settings_key');
  }
}
