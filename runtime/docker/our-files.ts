import { mkdir } from 'node:fs/promises';
import type { RuntimeSpec } from '../driver.ts';
import { replaceChanged } from '../host/replace-changed.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { GATEWAY_PORT } from './in-container.ts';

/**
 * Makes the directories of what an instance can only read. Closed above, open within: the user of the container reads what is
 * mounted, and nobody else of this machine.
 */
export async function makeDirectories(layout: RuntimeLayout): Promise<void> {
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  for (const directory of [layout.configDir, layout.skillsDir]) await mkdir(directory, { recursive: true, mode: 0o755 });
}

/** Writes the configuration, unless it is there already and not to be written again. */
export async function applyConfig({ configFile }: RuntimeLayout, spec: RuntimeSpec, { again } = { again: false }): Promise<void> {
  await replaceChanged(configFile, spec.renderConfig({ port: GATEWAY_PORT, bind: 'lan' }), { mode: 0o444, again });
}
