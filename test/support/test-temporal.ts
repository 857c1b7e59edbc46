import { Connection } from '@temporalio/client';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SEARCH_ATTRIBUTES } from '../../domain/temporal/search-attributes.ts';
import { freePort } from '../../runtime/host/free-port.ts';
import { ensureNamespace } from '../../worker/temporal/temporal-setup.ts';
import { eventually } from './eventually.ts';
import { newTemporal } from './temporal-programs.ts';
import { testRunDir } from './run-folder.ts';
import { startOnce } from './test-run.ts';

const server = z.object({ address: z.string() });

/** A namespace of its own, with our search attributes, on the Temporal of this run. */
export async function createTestNamespace(): Promise<{ address: string; namespace: string }> {
  const { address } = await startOnce('temporal', server, startServer);
  const namespace = `test-${randomBytes(8).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await eventually(() => ensureNamespace(connection, namespace));
    // Its processes hear of new attributes one after the other; starts are refused until the first one has.
    const query = SEARCH_ATTRIBUTES.map((name) => `${name} = 'known'`).join(' and ');
    await eventually(() => connection.workflowService.countWorkflowExecutions({ namespace, query }));
  } finally {
    await connection.close();
  }
  return { address, namespace };
}

async function startServer(): Promise<{ address: string }> {
  const port = await freePort(null);
  const { command, args, env } = await newTemporal(port, testRunDir());
  const output = await open(join(testRunDir(), 'temporal.log'), 'w');
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', output.fd, output.fd] });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  await Promise.all([output.close(), writeFile(join(testRunDir(), 'temporal.pid'), String(child.pid))]);
  const address = `127.0.0.1:${port}`;
  await eventually(async () => (await Connection.connect({ address, connectTimeout: 1_000 })).close());
  return { address };
}
