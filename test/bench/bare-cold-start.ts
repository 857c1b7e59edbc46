import { startGateway } from '../support/gateway-under-test.ts';
import { bareTurn } from './bare-turn.ts';

/** From the start of a gateway without any control plane to its first answer, in milliseconds: what ours is compared with. */
export async function bareColdStart(): Promise<number> {
  const startedAt = performance.now();
  const gateway = await startGateway(['alpha']);
  try {
    await bareTurn(await gateway.connect(), 'alpha', 'hello');
    return performance.now() - startedAt;
  } finally {
    await gateway.close();
  }
}
