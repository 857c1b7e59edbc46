import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { BodyOf } from '../../src/index.ts';
import { readSecret } from '../ask.ts';
import type { Context } from '../context.ts';
import { agentIdOf, instanceIdOf } from '../find.ts';
import { UserError } from '../io.ts';

const MOST_FILES = 64;

/** `skills ...` */
export function addSkills(program: Command, context: Context): void {
  const group = program.command('skills').description('Skills that the agents of an instance can use');
  group
    .command('catalogue')
    .description('List the built-in skills')
    .action(async () => {
      const skills = await (await context.client()).skills.catalogue();
      await context.list(
        skills,
        [
          ['id', (one) => one.id],
          ['description', (one) => one.description],
        ],
        'There are no built-in skills.',
      );
    });
  group
    .command('list')
    .description('List the skills of an instance')
    .argument('<instance>', 'its id or name')
    .action(async (given: string) => {
      const client = await context.client();
      await context.list(
        client.skills.list(await instanceIdOf(client, given)),
        [
          ['name', (one) => one.name],
          ['type', (one) => one.type],
          ['status', (one) => one.status],
          ['description', (one) => one.description],
        ],
        'This instance has no skills.',
      );
    });
  group
    .command('install')
    .description('Install a built-in skill, or your own from a folder with a SKILL.md')
    .argument('<instance>', 'its id or name')
    .argument('<skill>', 'the id of a built-in skill, or the name of your own')
    .option('--from <folder>', 'the folder of your own skill')
    .action(async (given: string, name: string, { from }: { from?: string }) => {
      const client = await context.client();
      const body = { name, ...(from === undefined ? {} : { files: await readFolder(from) }) };
      context.show(await client.skills.install(await instanceIdOf(client, given), body));
    });
  group
    .command('delete')
    .description('Remove a skill')
    .argument('<instance>', 'its id or name')
    .argument('<skill>', 'its name')
    .action(async (given: string, name: string) => {
      const client = await context.client();
      context.show(await client.skills.delete(await instanceIdOf(client, given), name));
    });
}

async function readFolder(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => {
    throw new UserError(`${folder} is not a folder that can be read.`);
  });
  const files = entries.filter((entry) => entry.isFile());
  if (files.length > MOST_FILES) throw new UserError(`${folder} has more than ${MOST_FILES} files.`);
  const read = files.map(async ({ name, parentPath }) => {
    const path = join(parentPath, name);
    return [path.slice(folder.length).replaceAll('\\', '/').replace(/^\/+/, ''), await readFile(path, 'utf8')] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

/** `secrets ...` */
export function addSecrets(program: Command, context: Context): void {
  const group = program.command('secrets').description('Environment variables of an instance whose values are never shown');
  group
    .command('list')
    .description('List the names of the secrets of an instance')
    .argument('<instance>', 'its id or name')
    .action(async (given: string) => {
      const client = await context.client();
      const secrets = client.secrets.list(await instanceIdOf(client, given));
      await context.list(secrets, [['key', (one) => one.key]], 'This instance has no secrets.');
    });
  group
    .command('set')
    .description('Store a secret. Its value is asked for, or read from the input; a running instance restarts')
    .argument('<instance>', 'its id or name')
    .argument('<key>', 'such as SLACK_TOKEN')
    .action(async (given: string, key: string) => {
      const client = await context.client();
      const instanceId = await instanceIdOf(client, given);
      const value = await readSecret(context.io, `Value of ${key}: `);
      context.show(await client.secrets.store(instanceId, { secrets: { [key]: value } }));
    });
  group
    .command('delete')
    .description('Remove a secret; a running instance restarts')
    .argument('<instance>', 'its id or name')
    .argument('<key>')
    .action(async (given: string, key: string) => {
      const client = await context.client();
      context.show(await client.secrets.delete(await instanceIdOf(client, given), key));
    });
}

/** `crons ...` */
export function addCrons(program: Command, context: Context): void {
  const group = program.command('crons').description('Scheduled jobs of an agent');
  const place = async (instance: string, agent: string) => {
    const client = await context.client();
    const instanceId = await instanceIdOf(client, instance);
    return { client, instanceId, agentId: await agentIdOf(client, instanceId, agent) };
  };
  group
    .command('list')
    .description('List the jobs of an agent')
    .argument('<instance>', 'its id or name')
    .argument('<agent>', 'its id or slug')
    .action(async (instance: string, agent: string) => {
      const { client, instanceId, agentId } = await place(instance, agent);
      await context.list(
        client.crons.list(instanceId, agentId),
        [
          ['id', (one) => one.cronId],
          ['name', (one) => one.name],
          ['schedule', (one) => JSON.stringify(one.schedule)],
          ['enabled', (one) => one.enabled],
          ['next run', (one) => one.nextRunAt],
          ['last', (one) => one.lastRun?.status],
        ],
        'This agent has no jobs.',
      );
    });
  group
    .command('create')
    .description('Create a job: the agent receives the message at each run')
    .argument('<instance>', 'its id or name')
    .argument('<agent>', 'its id or slug')
    .argument('<name>')
    .argument('<message>')
    .option('--cron <expression>', 'such as "0 9 * * 1-5"')
    .option('--time-zone <zone>', 'of --cron, such as Europe/Berlin')
    .option('--every <seconds>')
    .option('--at <time>', 'once, such as 2027-01-31T09:00:00Z')
    .action(async (instance: string, agent: string, name: string, message: string, options: ScheduleOptions) => {
      const schedule = scheduleOf(options);
      const { client, instanceId, agentId } = await place(instance, agent);
      context.show(await client.crons.create(instanceId, agentId, { name, message, schedule }));
    });
  const texts = { run: 'Run a job now', delete: 'Delete a job' } as const;
  for (const name of ['run', 'delete'] as const)
    group
      .command(name)
      .description(texts[name])
      .argument('<instance>', 'its id or name')
      .argument('<agent>', 'its id or slug')
      .argument('<cronId>')
      .action(async (instance: string, agent: string, cronId: string) => {
        const { client, instanceId, agentId } = await place(instance, agent);
        context.show(await client.crons[name](instanceId, agentId, cronId));
      });
}

interface ScheduleOptions {
  cron?: string;
  timeZone?: string;
  every?: string;
  at?: string;
}

function scheduleOf({ cron, timeZone, every, at }: ScheduleOptions): BodyOf<'crons.create'>['schedule'] {
  const given = [cron, every, at].filter((one) => one !== undefined);
  if (given.length !== 1) throw new UserError('Give one of --cron, --every and --at.');
  if (cron !== undefined) return { kind: 'cron', expr: cron, ...(timeZone === undefined ? {} : { timeZone }) };
  if (at !== undefined) return { kind: 'at', at };
  const everyMs = Number(every) * 1_000;
  if (!Number.isSafeInteger(everyMs) || everyMs <= 0) throw new UserError('Give --every as a whole number of seconds.');
  return { kind: 'every', everyMs };
}
