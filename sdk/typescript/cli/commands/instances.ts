import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { AgentWithFiles, BodyOf } from '../../src/index.ts';
import type { Context } from '../context.ts';
import { agentIdOf, instanceIdOf } from '../find.ts';
import { UserError } from '../io.ts';

/** `instances ...` */
export function addInstances(program: Command, context: Context): void {
  const group = program.command('instances').description('Your OpenClaw gateways, in which agents run');
  group
    .command('list')
    .description('List instances')
    .action(async () => {
      const client = await context.client();
      await context.list(
        client.instances.list(),
        [
          ['id', (one) => one.instanceId],
          ['name', (one) => one.name],
          ['status', (one) => one.status],
          ['agents', (one) => one.agents.map(({ slug }) => slug).join(' ')],
          ['why', (one) => one.statusReason?.message],
        ],
        'There are no instances. Create one: thermidora instances create NAME',
      );
    });
  group
    .command('create')
    .description('Create an instance')
    .argument('<name>')
    .option('--wait', 'wait until it runs')
    .action(async (name: string, { wait }: { wait?: true }) => {
      const client = await context.client();
      const created = await client.instances.create({ name });
      context.show(wait ? await client.instances.waitUntilRunning(created.instanceId, { signal: context.signal }) : created);
    });
  group
    .command('get')
    .description('Show an instance')
    .argument('<instance>', 'its id or name')
    .action(async (given: string) => {
      const client = await context.client();
      context.show(await client.instances.get(await instanceIdOf(client, given)));
    });
  for (const [name, text] of [
    ['start', 'Start an instance'],
    ['stop', 'Stop an instance: nothing is charged, everything is kept'],
    ['delete', 'Delete an instance with all that it holds'],
  ] as const)
    group
      .command(name)
      .description(text)
      .argument('<instance>', 'its id or name')
      .action(async (given: string) => {
        const client = await context.client();
        const instanceId = await instanceIdOf(client, given);
        context.show(await client.instances[name](instanceId));
      });
}

/** `agents ...` */
export function addAgents(program: Command, context: Context): void {
  const group = program.command('agents').description('Personas that run in an instance');
  group
    .command('list')
    .description('List the agents of an instance')
    .argument('<instance>', 'its id or name')
    .action(async (given: string) => {
      const client = await context.client();
      await context.list(
        client.agents.list(await instanceIdOf(client, given)),
        [
          ['id', (one) => one.agentId],
          ['slug', (one) => one.slug],
          ['name', (one) => one.displayName],
          ['model', (one) => one.model],
          ['status', (one) => one.status],
        ],
        'This instance has no agents.',
      );
    });
  group
    .command('create')
    .description('Create an agent')
    .argument('<instance>', 'its id or name')
    .argument('<slug>', 'its short name: lowercase letters, digits and hyphens')
    .option('--name <text>', 'its name for people (default: the slug)')
    .option('--model <id>', 'its model; `thermidora models` lists them')
    .option('--file <name=path...>', 'a persona file, such as SOUL.md=soul.md')
    .action(async (given: string, slug: string, options: { name?: string; model?: string; file?: string[] }) => {
      const client = await context.client();
      const name = options.name ?? slug;
      const body: BodyOf<'agents.create'> = { name, slug, displayName: name };
      if (options.model !== undefined) body.model = options.model;
      if (options.file) body.files = await readFiles(options.file);
      context.show(await client.agents.create(await instanceIdOf(client, given), body));
    });
  const one = { get: 'Show an agent and its files', delete: 'Delete an agent and its workspace' } as const;
  for (const name of ['get', 'delete'] as const)
    group
      .command(name)
      .description(one[name])
      .argument('<instance>', 'its id or name')
      .argument('<agent>', 'its id or slug')
      .action(async (given: string, agent: string) => {
        const client = await context.client();
        const instanceId = await instanceIdOf(client, given);
        const answer: AgentWithFiles | object = await client.agents[name](instanceId, await agentIdOf(client, instanceId, agent));
        context.show(answer);
      });
  program
    .command('models')
    .description('List the models that agents may use')
    .action(async () => {
      const { models } = await (await context.client()).models.list();
      await context.list(models, [['id', (model) => model.id]], 'This installation offers no models.');
    });
}

async function readFiles(given: readonly string[]): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const one of given) {
    const at = one.indexOf('=');
    if (at < 1) throw new UserError(`Give a file as NAME=PATH, not as ${one}.`);
    files[one.slice(0, at)] = await readFile(one.slice(at + 1), 'utf8').catch(() => {
      throw new UserError(`${one.slice(at + 1)} cannot be read.`);
    });
  }
  return files;
}
