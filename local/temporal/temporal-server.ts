import { join } from 'node:path';
import { goInstall } from '../install/go-install.ts';
import { installPrograms } from '../install/install-programs.ts';
import type { InstallOptions } from '../install/install-programs.ts';

/** The one that docker-compose.yml names. */
export const TEMPORAL_SERVER_VERSION = '1.31.2';

const MODULE = 'go.temporal.io/server';
const PROGRAMS = {
  title: 'the Temporal server',
  name: 'temporal-server',
  version: TEMPORAL_SERVER_VERSION,
  // As Go names them after their packages.
  files: ['server', 'sql'],
  space: 'about 4 GB to be built, 200 MB',
};

export interface TemporalServer {
  server: string;
  /** Makes and updates its schema. */
  schemaTool: string;
}

/** Answers the paths of the pinned production server and its schema tool: from the cache, or built with Go. Throws ProgramsError. */
export async function ensureTemporalServer(options: InstallOptions): Promise<TemporalServer> {
  const directory = await installPrograms(PROGRAMS, options, async (draft) => {
    const packages = ['cmd/server', 'cmd/tools/sql'].map((path) => `${MODULE}/${path}@v${TEMPORAL_SERVER_VERSION}`);
    options.onProgress?.(`Temporal server ${TEMPORAL_SERVER_VERSION} is built with Go (about four minutes, once).`);
    await goInstall({ title: PROGRAMS.title, packages, duration: 'about four minutes' }, draft, options);
    options.onProgress?.(`Temporal server ${TEMPORAL_SERVER_VERSION} is installed.`);
  });
  return { server: join(directory, 'server'), schemaTool: join(directory, 'sql') };
}
