import { z } from 'zod';
import { namesIn } from '../host/missing-files.ts';
import { quarantinedIn } from '../host/quarantine.ts';
import { isRuntimeId, runtimesDirOf } from '../host/runtime-layout.ts';
import { runtimeOf } from './container-state.ts';
import type { Engine } from './engine.ts';
import { listNetworks } from './instance-network.ts';
import type { Names } from './names.ts';

const listed = z.array(z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() }));
const volumeList = z.looseObject({ Volumes: listed.nullish() });

/**
 * The ids of all runtimes of this installation that have a container, storage, a network or a directory. The volume of
 * a quarantined runtime does not count.
 */
export async function listRuntimeIds(engine: Engine, names: Names, dataDir: string): Promise<string[]> {
  const query = { filters: JSON.stringify({ label: names.ours }) };
  const [quarantined, containers, volumes, networks, directories] = await Promise.all([
    quarantinedIn(dataDir),
    engine.call('GET', '/containers/json', { query: { ...query, all: '1' } }),
    engine.call('GET', '/volumes', { query }),
    listNetworks(engine, names.ours),
    namesIn(runtimesDirOf(dataDir)),
  ]);
  const isAside = new Set<string | null>(quarantined.map(({ runtimeId }) => runtimeId));
  const stored = (volumeList.parse(volumes).Volumes ?? []).filter(({ Labels }) => !isAside.has(runtimeOf(Labels)));
  const labelled = [...listed.parse(containers), ...stored, ...networks];
  const ids = [...labelled.map(({ Labels }) => runtimeOf(Labels)), ...directories];
  return [...new Set(ids.filter((id) => id !== null).filter(isRuntimeId))];
}
