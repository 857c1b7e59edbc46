import { mkdir } from 'node:fs/promises';
import type { RuntimeSpec } from '../driver.ts';
import { replaceFile } from '../host/replace-file.ts';
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

/** Writes the configuration, also when nothing has changed: a gateway that has missed a replacement of the file that it watches sees the next one. */
export async function applyConfig(layout: RuntimeLayout, spec: RuntimeSpec): Promise<void> {
  await replaceFile(layout.configFile, spec.renderConfig({ port: GATEWAY_PORT, bind: 'lan' }), 0o444);
}
