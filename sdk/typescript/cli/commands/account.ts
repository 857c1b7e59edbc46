import type { Command } from 'commander';
import type { BodyOf, QueryOf } from '../../src/index.ts';
import type { Context } from '../context.ts';
import { instanceIdOf } from '../find.ts';
import { usdOf, writeJsonLine, writeLine } from '../output.ts';
import { findUrl } from '../settings.ts';

/** `keys ...` */
export function addKeys(program: Command, context: Context): void {
  const group = program.command('keys').description('API keys of the account');
  group
    .command('list')
    .description('List API keys')
    .action(async () => {
      const client = await context.client();
      await context.list(
        client.keys.list(),
        [
          ['id', (one) => one.keyId],
          ['name', (one) => one.name],
          ['ends with', (one) => one.last4],
          ['created', (one) => one.createdAt],
          ['last used', (one) => one.lastUsedAt],
        ],
        'There are no API keys.',
      );
    });
  group
    .command('create')
    .description('Create an API key. It is shown once')
    .argument('<name>')
    .option('--scope <scope...>', 'limit it to read, messages, write, secrets or keys')
    .option('--instance <instance>', 'limit it to one instance')
    .option('--expires <time>', 'such as 2027-01-31T00:00:00Z')
    .action(async (name: string, options: { scope?: string[]; instance?: string; expires?: string }) => {
      const client = await context.client();
      const limits = {
        ...(options.scope ? { scopes: options.scope } : {}),
        ...(options.instance === undefined ? {} : { instanceId: await instanceIdOf(client, options.instance) }),
        ...(options.expires === undefined ? {} : { expiresAt: options.expires }),
      };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses scopes that it does not know
      context.show(await client.keys.create({ name, ...limits } as BodyOf<'keys.create'>));
    });
  group
    .command('revoke')
    .description('Revoke an API key at once')
    .argument('<keyId>')
    .action(async (keyId: string) => context.show(await (await context.client()).keys.revoke(keyId)));
}

/** `console`. */
export function addConsole(program: Command, context: Context): void {
  program
    .command('console')
    .description('Show a link that opens the console signed in, once and within an hour')
    .action(async () => {
      const client = await context.client();
      const { path, expiresAt } = await client.auth.createLink();
      context.show({ link: new URL(path, await findUrl(context.io)).href, expiresAt });
    });
}

/** `events`, `usage`. */
export function addEvents(program: Command, context: Context): void {
  program
    .command('events')
    .description('List the events of the account, or follow them')
    .option('--after <number>', 'only those after this number')
    .option('--follow', 'print each event as it happens')
    .action(async ({ after, follow }: { after?: string; follow?: true }) => {
      const client = await context.client();
      const latest = async (): Promise<number> => (await client.events.list({ limit: 1 }).page()).latestSeq ?? 0;
      // Without a number, following begins now, and a list with the first that is kept.
      const from = after === undefined ? (follow ? await latest() : 0) : Number(after);
      const events = follow
        ? client.events.stream({ after: from }, { signal: context.signal })
        : client.events.list({ after: from, limit: 200 });
      for await (const event of events) {
        if (context.isJson()) writeJsonLine(context.io, event);
        else writeLine(context.io, lineOf(event));
      }
    });
  program
    .command('usage')
    .description('Show running time, tokens and costs')
    .option('--from <time>', 'such as 2027-01-01T00:00:00Z')
    .option('--to <time>')
    .option('--by <group>', 'instance, agent or day')
    .action(async (options: { from?: string; to?: string; by?: string }) => {
      const { from, to, by } = options;
      const query = { ...(from && { from }), ...(to && { to }), ...(by && { groupBy: by }) };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses groups that it does not know
      const usage = await (await context.client()).billing.usage(query as QueryOf<'billing.usage'>);
      await context.list(
        usage.rows,
        [
          [usage.groupBy, (row) => row.key],
          ['hours', (row) => (row.runtimeMs / 3_600_000).toFixed(2)],
          ['charged usd', (row) => usdOf(row.chargedNanoUsd)],
          ['messages', (row) => row.messages],
          ['tokens in', (row) => row.inputTokens],
          ['tokens out', (row) => row.outputTokens],
        ],
        'Nothing was used in this time.',
      );
    });
}

function lineOf(event: object): string {
  const fields: Record<string, unknown> = { ...event };
  const { content, error } = fields;
  const text = typeof content === 'string' ? content : error ? JSON.stringify(error) : '';
  const words = text.replaceAll(/\s+/g, ' ').slice(0, 200);
  return [fields['seq'], fields['createdAt'], fields['eventType'], fields['instanceId'], fields['agentSlug'], words]
    .filter((part) => part !== undefined && part !== null && part !== '')
    .map(String)
    .join('  ');
}
