import type { Command } from 'commander';
import type { Budget, BodyOf } from '../../src/index.ts';
import type { Context } from '../context.ts';
import { UserError } from '../io.ts';
import { usdOf } from '../output.ts';

const PERIODS = ['day', 'month', 'total'] as const;

interface CreateOptions {
  limit: string;
  period: string;
  for?: string[];
  warnAt?: string;
}

interface UpdateOptions {
  name?: string;
  limit?: string;
  warnAt?: string;
}

/** `budgets ...` and `ledger`. */
export function addMoney(program: Command, context: Context): void {
  const group = program.command('budgets').description('Caps on what is spent');
  addReading(group, context);
  addWriting(group, context);
  program
    .command('ledger')
    .description('List the lines of the ledger, newest first')
    .action(async () => {
      const client = await context.client();
      await context.list(
        client.billing.ledger({ limit: 200 }),
        [
          ['at', (line) => line.at],
          ['what', (line) => line.kind],
          ['usd', (line) => usdOf(line.amountNanoUsd)],
        ],
        'The ledger has no lines.',
      );
    });
}

function addReading(group: Command, context: Context): void {
  group
    .command('list')
    .description('List budgets with what was spent')
    .action(async () => {
      const client = await context.client();
      await context.list(
        client.budgets.list(),
        [
          ['id', (one) => one.budgetId],
          ['name', (one) => one.name],
          ['counts', scopeOf],
          ['per', (one) => one.period],
          ['spent usd', (one) => usdOf(one.spentNanoUsd)],
          ['limit usd', (one) => one.limitUsd],
          ['resets', (one) => one.resetsAt],
        ],
        'There are no budgets.',
      );
    });
  group
    .command('get')
    .description('Show a budget')
    .argument('<budgetId>')
    .action(async (budgetId: string) => context.show(await (await context.client()).budgets.get(budgetId)));
  group
    .command('spend')
    .description('List what each key of a budget has spent, such as each end user')
    .argument('<budgetId>')
    .action(async (budgetId: string) => {
      const client = await context.client();
      await context.list(
        client.budgets.spend(budgetId),
        [
          ['key', (one) => one.key],
          ['spent usd', (one) => usdOf(one.spentNanoUsd)],
        ],
        'Nothing was spent in this period.',
      );
    });
}

function addWriting(group: Command, context: Context): void {
  group
    .command('create')
    .description('Create a budget. Without --for it counts the whole account')
    .argument('<name>')
    .requiredOption('--limit <usd>', 'such as 12.50')
    .option('--period <period>', PERIODS.join(', '), 'month')
    .option('--for <scope...>', "what it counts, such as instanceId=inst_... or 'senderId=*' for each sender separately")
    .option('--warn-at <percent>', 'when to send the event budget.warning')
    .action(async (name: string, { limit, period, for: scopes = [], warnAt }: CreateOptions) => {
      const client = await context.client();
      const body = { name, limitUsd: limit, period, scope: readScope(scopes), ...readWarning(warnAt) };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses periods and scopes that it does not know
      context.show(await client.budgets.create(body as BodyOf<'budgets.create'>));
    });
  group
    .command('update')
    .description('Change the name, the limit or the warning of a budget')
    .argument('<budgetId>')
    .option('--name <name>')
    .option('--limit <usd>')
    .option('--warn-at <percent>')
    .action(async (budgetId: string, { name, limit, warnAt }: UpdateOptions) => {
      const client = await context.client();
      const named = name === undefined ? {} : { name };
      const limited = limit === undefined ? {} : { limitUsd: limit };
      context.show(await client.budgets.update(budgetId, { ...named, ...limited, ...readWarning(warnAt) }));
    });
  group
    .command('delete')
    .description('Delete a budget')
    .argument('<budgetId>')
    .action(async (budgetId: string) => context.show(await (await context.client()).budgets.delete(budgetId)));
}

function scopeOf({ scope }: Budget): string {
  const parts = Object.entries(scope).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? 'the account' : parts.join(' ');
}

/** `name=value` for each part of a scope. Throws UserError for what has no name or value. */
function readScope(scopes: readonly string[]): Record<string, string> {
  const parts = scopes.map((given): [string, string] => {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(given) ?? [];
    if (name === undefined || value === undefined)
      throw new UserError(`--for ${given} is no scope. Give it as senderId=*, for example.`);
    return [name, value];
  });
  return Object.fromEntries(parts);
}

function readWarning(percent: string | undefined): { warnAt?: number } {
  if (percent === undefined) return {};
  const warnAt = Number(percent);
  if (!Number.isInteger(warnAt)) throw new UserError('Give --warn-at as a whole number from 1 to 99.');
  return { warnAt };
}
