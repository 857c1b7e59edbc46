import { z } from 'zod';
import { Engine, EngineAwayError } from './engine.ts';
import { INSTALLATION_ID_LABEL, namesOf } from './names.ts';

const volumeList = z.looseObject({
  Volumes: z.array(z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() })).nullish(),
});

/**
 * The ids of the installations whose volumes the engine holds under the names of this DATA_DIR. Null when the engine
 * does not answer.
 */
export async function installationsOfVolumes(socketPath: string, dataDir: string): Promise<string[] | null> {
  const query = { filters: JSON.stringify({ label: namesOf(dataDir).ours }) };
  try {
    const { Volumes } = volumeList.parse(await new Engine(socketPath).call('GET', '/volumes', { query }));
    return [...new Set((Volumes ?? []).flatMap(({ Labels }) => Labels?.[INSTALLATION_ID_LABEL] ?? []))];
  } catch (error) {
    if (error instanceof EngineAwayError) return null;
    throw error;
  }
}
