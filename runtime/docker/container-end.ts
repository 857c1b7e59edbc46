import { z } from 'zod';
import { parseContainer } from './container-state.ts';
import type { Container } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import type { Names } from './names.ts';

const KILL_MS = 30_000;
/** What the engine may take to say that a wait is over. */
const ANSWER_MS = 120_000;
const idList = z.array(z.looseObject({ Id: z.string(), Names: z.array(z.string()) }));

/** The container of a runtime's gateway, also when it has ended. */
export async function findContainer(engine: Engine, names: Names, runtimeId: string): Promise<Container | null> {
  return find(engine, names.of(runtimeId));
}

/** As it is now; null when it was removed. */
export async function findContainerById(engine: Engine, { Id }: Container): Promise<Container | null> {
  return find(engine, Id);
}

async function find(engine: Engine, nameOrId: string): Promise<Container | null> {
  const found = await engine.find(`/containers/${nameOrId}/json`);
  return found === null ? null : parseContainer(found);
}

/** Nothing happens to one that has ended. */
export async function signalContainer(engine: Engine, { Id }: Container, signal: string): Promise<void> {
  // 409: it has ended meanwhile.
  await orElse([404, 409], null, () => engine.call('POST', `/containers/${Id}/kill`, { query: { signal } }));
}

/** Kills it unless it has ended. Throws when it does not end by that either. */
export async function killContainer(engine: Engine, container: Container | null): Promise<void> {
  if (!container?.State.Running) return;
  await signalContainer(engine, container, 'SIGKILL');
  if (!(await waitUntilGone(engine, container, KILL_MS)))
    throw new Error(`The container ${container.Id} does not end, not even by SIGKILL.`);
}

/** False when it still runs after withinMs. */
export async function waitUntilGone(engine: Engine, { Id }: Container, withinMs: number, signal?: AbortSignal): Promise<boolean> {
  const patience = AbortSignal.timeout(withinMs);
  const query = { condition: 'not-running' };
  const options = { query, timeoutMs: withinMs + ANSWER_MS, signal: signal ? AbortSignal.any([signal, patience]) : patience };
  try {
    await orElse(404, null, () => engine.call('POST', `/containers/${Id}/wait`, options));
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (patience.aborted) return false;
    throw error;
  }
}

/** Removes it, running or not, with the volumes that it alone had; nothing happens when it is not there. */
export async function removeContainer(engine: Engine, nameOrId: string): Promise<void> {
  await orElse(404, null, () => engine.call('DELETE', `/containers/${nameOrId}`, { query: { force: '1', v: '1' } }));
}

/**
 * Removes every container of a runtime, and whatever bears its name: an old run may have left it. One that works on its
 * disk is left to come to its end, which the next one that works there waits for: cut off, it would leave a damaged disk.
 */
export async function removeContainers(engine: Engine, names: Names, runtimeId: string): Promise<void> {
  const query = { all: '1', filters: JSON.stringify({ label: names.labelsFor(runtimeId) }) };
  const found = idList.parse(await engine.call('GET', '/containers/json', { query }));
  const ids = found.filter(({ Names: of }) => !of.includes(`/${names.diskWorkOf(runtimeId)}`)).map(({ Id }) => Id);
  for (const container of [names.of(runtimeId), ...ids]) await removeContainer(engine, container);
}
