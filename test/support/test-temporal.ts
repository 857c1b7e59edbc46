import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { SEARCH_ATTRIBUTES } from '../../domain/search-attributes.ts';
import { devServerArguments } from '../../local/temporal-arguments.ts';
import { ensureTemporal } from '../../local/temporal-binary.ts';
import { freePort } from '../../runtime/process/free-port.ts';
import { eventually } from './eventually.ts';
import { startOnce, testRunDir } from './test-run.ts';

const server = z.object({ address: z.string() });
const RETENTION = msToTs('1 day');
const { IndexedValueType } = proto.temporal.api.enums.v1;

/** A namespace of its own, with our search attributes, on the Temporal of this run. */
export async function createTestNamespace(): Promise<{ address: string; namespace: string }> {
  const { address } = await startOnce('temporal', server, startServer);
  const namespace = `test-${randomBytes(8).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: RETENTION });
    const searchAttributes = Object.fromEntries(
      SEARCH_ATTRIBUTES.map((name) => [name, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD]),
    );
    await eventually(() => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }));
  } finally {
    await connection.close();
  }
  return { address, namespace };
}

async function startServer(): Promise<{ address: string }> {
  const program = await ensureTemporal({ cacheDir: cacheDirOf(process.env), env: process.env });
  const port = await freePort(null);
  const output = await open(join(testRunDir(), 'temporal.log'), 'w');
  const args = devServerArguments({ port, databaseFile: join(testRunDir(), 'temporal.db') });
  const child = spawn(program, args, { detached: true, stdio: ['ignore', output.fd, output.fd] });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  await Promise.all([output.close(), writeFile(join(testRunDir(), 'temporal.pid'), String(child.pid))]);
  const address = `127.0.0.1:${port}`;
  await eventually(async () => (await Connection.connect({ address, connectTimeout: 1_000 })).close(), 20_000);
  return { address };
}
