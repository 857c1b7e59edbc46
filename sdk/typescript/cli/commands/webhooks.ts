import { once } from 'node:events';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { UserError } from '../io.ts';
import { writeJsonLine, writeLine } from '../output.ts';
import { startReceiver } from '../receiver.ts';
import type { Delivery } from '../receiver.ts';

/** `webhooks ...` */
export function addWebhooks(program: Command, context: Context): void {
  const group = program.command('webhooks').description('Subscriptions that deliver events to a URL');
  group
    .command('list')
    .description('List webhooks')
    .action(async () => {
      const client = await context.client();
      await context.list(
        client.webhooks.list(),
        [
          ['id', (one) => one.webhookId],
          ['url', (one) => one.url],
          ['events', (one) => one.events.join(' ')],
          ['enabled', (one) => one.enabled],
        ],
        'There are no webhooks.',
      );
    });
  group
    .command('create')
    .description('Create a webhook. Its secret is shown')
    .argument('<url>')
    .option('--event <type...>', 'which events (default: all of agents)', ['*'])
    .action(async (url: string, { event }: { event: string[] }) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses types that it does not know
      const events = event as ['*'];
      context.show(await (await context.client()).webhooks.create({ url, events }));
    });
  const texts = {
    get: 'Show a webhook with its secret',
    test: 'Send a test event',
    delete: 'Delete a webhook',
    rotateSecret: 'Replace the secret of a webhook; both are good for a day',
  } as const;
  for (const name of ['get', 'test', 'delete', 'rotateSecret'] as const)
    group
      .command(name === 'rotateSecret' ? 'rotate-secret' : name)
      .description(texts[name])
      .argument('<webhookId>')
      .action(async (webhookId: string) => context.show(await (await context.client()).webhooks[name](webhookId)));
  group
    .command('deliveries')
    .description('List the deliveries of a webhook')
    .argument('<webhookId>')
    .action(async (webhookId: string) => {
      const client = await context.client();
      await context.list(
        client.webhooks.deliveries.list(webhookId),
        [
          ['id', (one) => one.deliveryId],
          ['event', (one) => one.eventType],
          ['status', (one) => one.status],
          ['attempts', (one) => one.attempts.length],
          ['last', (one) => one.attempts.at(-1)?.statusCode ?? one.attempts.at(-1)?.error],
          ['created', (one) => one.createdAt],
        ],
        'Nothing was delivered yet.',
        200,
      );
    });
  group
    .command('redeliver')
    .description('Send a delivery again')
    .argument('<webhookId>')
    .argument('<deliveryId>')
    .action(async (webhookId: string, deliveryId: string) =>
      context.show(await (await context.client()).webhooks.deliveries.redeliver(webhookId, deliveryId)),
    );
  addListen(group, context);
}

interface ListenOptions {
  port: string;
  url?: string;
  forwardTo?: string;
  event: string[];
}

function addListen(group: Command, context: Context): void {
  group
    .command('listen')
    .description('Receive events on this machine, verify and show them, and pass them on, until you press Ctrl-C')
    .option('--port <number>', 'where to receive on the loopback address', '0')
    .option('--url <url>', 'the public address that leads to this port, where the API runs elsewhere')
    .option('--forward-to <url>', 'pass each verified delivery on to this address, as it came')
    .option('--event <type...>', 'which events (default: all of agents)', ['*'])
    .action(async ({ port, url, forwardTo, event }: ListenOptions) => {
      if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UserError('Give --port as a number up to 65535.');
      if (forwardTo !== undefined && !URL.canParse(forwardTo)) throw new UserError('Give --forward-to as a URL.');
      const client = await context.client();
      const show = (delivery: Delivery): void => tell(context, delivery);
      const receiver = await startReceiver({ port: Number(port), forwardTo: forwardTo ?? null, show });
      try {
        const target = url ?? receiver.url;
        const created = await client.webhooks.create({
          url: target,
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API refuses types that it does not know
          events: event as ['*'],
          description: 'thermidora webhooks listen',
        });
        receiver.accept(created.secret);
        context.io.stderr.write(
          `${created.webhookId} delivers to ${target}, receiving at ${receiver.url} . Press Ctrl-C to end.\n`,
        );
        try {
          if (!context.signal.aborted) await once(context.signal, 'abort');
        } finally {
          await client.webhooks.delete(created.webhookId);
        }
      } finally {
        await receiver.close();
      }
    });
}

function tell({ io, isJson }: Context, { event, refused, forwarded }: Delivery): void {
  if (event === null) return void io.stderr.write(`A delivery was refused: ${refused ?? ''}\n`);
  if (isJson()) return writeJsonLine(io, event);
  const passedOn = forwarded === null ? '' : `  (forwarded: ${forwarded})`;
  writeLine(
    io,
    `${event.timestamp}  ${event.eventType}  ${event.agentSlug ?? '-'}  ${JSON.stringify(event.data).slice(0, 200)}${passedOn}`,
  );
}
