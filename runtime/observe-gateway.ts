import type { ObservedGateway } from '../domain/observed-gateway.ts';
import type { RuntimeDriver } from './driver.ts';

/** Whether the gateway is alive, suspended or not, or when it died; null when neither is known. */
export async function observeGateway(
  driver: Pick<RuntimeDriver, 'inspect' | 'exitOf'>,
  runtimeId: string,
): Promise<ObservedGateway | null> {
  const { status } = await driver.inspect(runtimeId);
  if (status === 'running' || status === 'suspended') return { isAlive: true };
  const exit = await driver.exitOf(runtimeId);
  return exit ? { isAlive: false, diedAt: exit.at } : null;
}
