import { Migration } from '@mikro-orm/migrations';

/** Why a reply ended, and each model call. What was there before, and what an older process writes, has none. */
export class FinishReason extends Migration {
  override up(): void {
    for (const table of ['messages', 'events', 'model_calls'])
      this.addSql(`alter table ${table} add column finish_reason text null`);
  }

  override down(): void {
    for (const table of ['messages', 'events', 'model_calls']) this.addSql(`alter table ${table} drop column finish_reason`);
  }
}
