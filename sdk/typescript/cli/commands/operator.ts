import type { Command } from 'commander';
import type { QueryOf } from '../../src/index.ts';
import type { Context } from '../context.ts';

/** `operator ...`: what runs the installation, with THERMIDORA_OPERATOR_TOKEN. */
export function addOperator(program: Command, context: Context): void {
  const group = program.command('operator').description('Run an installation (needs THERMIDORA_OPERATOR_TOKEN)');
  addAccounts(group, context);
  addInstances(group, context);
  addInstallation(group, context);
}

function addAccounts(group: Command, context: Context): void {
  const operator = async () => (await context.operator()).operator;
  group
    .command('accounts')
    .description('List accounts')
    .option('--email <address>')
    .action(async ({ email }: { email?: string }) => {
      const accounts = (await operator()).accounts.list(email === undefined ? {} : { email });
      await context.list(
        accounts,
        [
          ['id', (one) => one.accountId],
          ['email', (one) => one.email],
          ['name', (one) => one.name],
          ['balance', (one) => one.balanceUsd],
          ['operator', (one) => (one.operator ? 'yes' : '')],
        ],
        'There are no such accounts.',
      );
    });
  group
    .command('set-operator')
    .description('Make an account an operator of the console, or take that away')
    .argument('<accountId>')
    .option('--off', 'take it away')
    .action(async (accountId: string, { off }: { off?: true }) =>
      context.show(await (await operator()).accounts.update(accountId, { operator: !off })),
    );
  group
    .command('invites')
    .description('List the invite codes')
    .action(async () => {
      await context.list(
        (await operator()).invites.list(),
        [
          ['code', (one) => one.code],
          ['used', (one) => `${one.usedCount} of ${one.uses}`],
          ['email', (one) => one.email],
          ['expires', (one) => one.expiresAt],
        ],
        'There are no invites.',
      );
    });
  group
    .command('invite')
    .description('Create an invite code')
    .option('--uses <number>', 'how often it can be used', '1')
    .option('--email <address>', 'for this address only')
    .option('--credit <usd>', 'the credit of the accounts that are made with it')
    .action(async ({ uses, email, credit }: { uses: string; email?: string; credit?: string }) => {
      const limits = { ...(email && { email }), ...(credit && { creditUsd: credit }) };
      context.show(await (await operator()).invites.create({ uses: Number(uses), ...limits }));
    });
  group
    .command('grant')
    .description('Give an account credit')
    .argument('<accountId>')
    .argument('<usd>', 'such as 12.50')
    .argument('<reason>')
    .action(async (accountId: string, amountUsd: string, reason: string) =>
      context.show(await (await operator()).grants.create(accountId, { amountUsd, reason })),
    );
}

function addInstances(group: Command, context: Context): void {
  const operator = async () => (await context.operator()).operator;
  group
    .command('instances')
    .description('List the instances of all accounts')
    .option('--stuck', 'only those that need a look')
    .option('--status <status>')
    .action(async ({ stuck, status }: { stuck?: true; status?: string }) => {
      const query = { ...(stuck && { stuck: 'true' }), ...(status && { status }) };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses a status that it does not know
      const instances = (await operator()).instances.list(query as QueryOf<'operator.instances.list'>);
      await context.list(
        instances,
        [
          ['id', (one) => one.instanceId],
          ['account', (one) => one.accountId],
          ['status', (one) => one.status],
          ['wanted', (one) => one.desiredStatus],
          ['why', (one) => one.statusReason?.message],
          ['workflow', (one) => one.workflowId],
        ],
        'There are no such instances.',
      );
    });
  const texts = { reconcile: 'Look at an instance again now; clears an error', stop: 'Stop an instance of any account' } as const;
  for (const name of ['reconcile', 'stop'] as const)
    group
      .command(name)
      .description(texts[name])
      .argument('<instanceId>')
      .action(async (instanceId: string) => context.show(await (await operator()).instances[name](instanceId)));
  group
    .command('audit')
    .description('List what was changed, newest first')
    .option('--account <accountId>')
    .option('--instance <instanceId>')
    .action(async ({ account, instance }: { account?: string; instance?: string }) => {
      const query = { ...(account && { accountId: account }), ...(instance && { instanceId: instance }) };
      await context.list(
        (await operator()).audit.list(query),
        [
          ['at', (one) => one.at],
          ['actor', (one) => one.actor],
          ['action', (one) => one.action],
          ['target', (one) => one.target],
          ['instance', (one) => one.instanceId],
        ],
        'Nothing was changed.',
        200,
      );
    });
  group
    .command('quarantine')
    .description('List stored runtimes that no instance owns')
    .action(async () => {
      await context.list(
        (await operator()).quarantine.list(),
        [
          ['id', (one) => one.runtimeId],
          ['state', (one) => one.state],
        ],
        'No runtime is without an instance.',
      );
    });
}

function addInstallation(group: Command, context: Context): void {
  const operator = async () => (await context.operator()).operator;
  group
    .command('health')
    .description('Show the state of the parts, and what waits')
    .action(async () => context.show(await (await operator()).health.get()));
  group
    .command('runtimes')
    .description('List gateways and their storage on all nodes, those of the pool too')
    .option('--state <state>', 'such as ready, warming, awake or stopped')
    .action(async ({ state }: { state?: string }) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses a state that it does not know
      const query = (state === undefined ? {} : { state }) as QueryOf<'runtimes.list'>;
      await context.list(
        (await operator()).runtimes.list(query),
        [
          ['id', (one) => one.runtimeId],
          ['state', (one) => one.state],
          ['instance', (one) => one.instanceId],
          ['node', (one) => one.node],
          ['openclaw', (one) => one.pin],
        ],
        'There are no such runtimes.',
      );
    });
  group
    .command('models')
    .description('List the models with their providers, and what is wrong with them')
    .action(async () => {
      const { models } = await (await operator()).models.listAll();
      await context.list(
        models.flatMap(({ id, providers }) => providers.map((provider) => ({ id, ...provider }))),
        [
          ['model', (one) => one.id],
          ['provider', (one) => one.provider],
          ['upstream', (one) => one.upstream],
          ['state', (one) => one.state],
          ['why', (one) => one.reason],
        ],
        'The installation offers no models.',
      );
    });
}
