import type { RuntimeActivity } from '../driver.ts';
import type { Cluster } from './cluster.ts';
import { runProgram } from './exec.ts';

const TICK_MS = 10;
/** The gateway is the one child of the container's first process. */
const COMMAND = ['/bin/bash', '-c', 'cat /proc/$(pgrep -P 1 -o)/stat'];
const ANSWER_MS = 10_000;

/** What the gateway in a Pod does; null when it does not run. */
export async function activityIn(cluster: Cluster, pod: string): Promise<RuntimeActivity | null> {
  const target = { pod, container: 'gateway', command: COMMAND };
  const { stdout } = await runProgram(cluster, target, { input: '', signal: AbortSignal.timeout(ANSWER_MS) });
  // The name in parentheses before the other fields may hold spaces.
  const [state, ...fields] = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [fields[10], fields[11]];
  if (state === undefined || user === undefined || system === undefined) return null;
  return { cpuMs: (Number(user) + Number(system)) * TICK_MS, isFrozen: /^[Tt]/.test(state) };
}
