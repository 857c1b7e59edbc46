import { Migration } from '@mikro-orm/migrations';

const FUNCTIONS = ['reserve_model_call', 'take_budgets', 'free_call_budgets'];

/**
 * What a model call takes in its budgets is planned once for each connection. PostgreSQL takes a plan for the few budgets at
 * hand, or for a call without a turn, to be cheaper than one for any, and would make it again for each call: that takes longer than
 * to carry it out.
 */
export class KeptBudgetPlans extends Migration {
  override up(): void {
    for (const name of FUNCTIONS) this.addSql(`alter function ${name} set plan_cache_mode to force_generic_plan`);
  }

  override down(): void {
    for (const name of FUNCTIONS) this.addSql(`alter function ${name} reset plan_cache_mode`);
  }
}
