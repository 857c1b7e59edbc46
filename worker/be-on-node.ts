import type { MikroORM } from '@mikro-orm/postgresql';
import { adoptRuntimes } from '../database/nodes/adopt-runtimes.ts';
import { enterNode } from '../database/nodes/enter-node.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { Log } from '../lib/log.ts';
import type { Config } from '../lib/settings/config.ts';
import type { RuntimeDriver } from '../runtime/driver.ts';

interface Deps {
  config: Pick<Config, 'NODE_NAME' | 'MAX_RUNNING'>;
  orm: MikroORM;
  driver: Pick<RuntimeDriver, 'list' | 'kind'>;
  log: Log;
}

/** Enters the node of this worker, and which runtimes are there. Answers its id. */
export async function beOnNode({ config, orm, driver, log }: Deps): Promise<number> {
  const node = { name: config.NODE_NAME, maxRunning: config.MAX_RUNNING, driver: driver.kind };
  const nodeId = await runTransaction(orm.em, (em) => enterNode(em, node));
  const found = (await driver.list()).map(({ runtimeId }) => runtimeId);
  const adopted = await runTransaction(orm.em, (em) => adoptRuntimes(em, nodeId, found));
  log.info({ node: config.NODE_NAME, adopted }, 'this worker runs the gateways of its node');
  return nodeId;
}
