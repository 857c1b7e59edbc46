import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { agentIdOf, instanceIdOf } from '../find.ts';
import { UserError } from '../io.ts';

/** `files ...` */
export function addFiles(program: Command, context: Context): void {
  const group = program.command('files').description('The files in the workspace of an agent');
  const command = (name: string, description: string): Command =>
    group.command(name).description(description).argument('<instance>', 'its id or name').argument('<agent>', 'its id or slug');
  const find = async (instance: string, agent: string) => {
    const client = await context.client();
    const instanceId = await instanceIdOf(client, instance);
    return { client, instanceId, agentId: await agentIdOf(client, instanceId, agent) };
  };
  command('list', 'List the files of an agent')
    .argument('[prefix]', 'only paths that begin with it, such as notes/', '')
    .action(async (instance: string, agent: string, prefix: string) => {
      const { client, instanceId, agentId } = await find(instance, agent);
      await context.list(
        client.files.list(instanceId, agentId, { prefix }),
        [
          ['path', (one) => one.path],
          ['size', (one) => String(one.size)],
          ['changed', (one) => one.modifiedAt],
        ],
        'There are no such files.',
      );
    });
  command('get', 'Copy a file of an agent to this machine')
    .argument('<path>', 'its path in the workspace')
    .argument('[to]', 'the file to write; by default one of the same name here')
    .action(async (instance: string, agent: string, path: string, given?: string) => {
      const to = given ?? basename(path);
      const { client, instanceId, agentId } = await find(instance, agent);
      const { body } = await client.files.get(instanceId, agentId, path);
      const content = Readable.from(body ?? []);
      await pipeline(content, createWriteStream(to)).catch((error: unknown) => {
        throw new UserError(`${to} could not be written whole: ${error instanceof Error ? error.message : String(error)}`);
      });
      context.show({ path, to, size: (await stat(to)).size });
    });
  command('put', 'Copy a file of this machine to an agent')
    .argument('<from>', 'the file to send')
    .argument('[path]', 'its path in the workspace; by default its name')
    .action(async (instance: string, agent: string, from: string, given?: string) => {
      const path = given ?? basename(from);
      const { client, instanceId, agentId } = await find(instance, agent);
      const isFile = await stat(from).then(
        (one) => one.isFile(),
        () => false,
      );
      if (!isFile) throw new UserError(`${from} is not a file that can be read.`);
      const body = Readable.toWeb(createReadStream(from)) as globalThis.ReadableStream<Uint8Array>;
      context.show(await client.files.put(instanceId, agentId, path, body));
    });
  command('rm', 'Delete a file of an agent')
    .argument('<path>', 'its path in the workspace')
    .action(async (instance: string, agent: string, path: string) => {
      const { client, instanceId, agentId } = await find(instance, agent);
      context.show(await client.files.delete(instanceId, agentId, path));
    });
}
