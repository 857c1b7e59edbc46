import type { RuntimeFiles, WorkspacePlace } from '../driver-files.ts';
import { listFilesBelow } from '../host/list-files.ts';
import { readFileBelow } from '../host/read-file.ts';
import { gatewayPathsOf } from '../host/runtime-layout.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { explainingStorage } from '../host/storage-error.ts';
import { removeFileBelow, writeFileBelow } from '../host/write-file.ts';

/**
 * The workspaces of gateways that run as processes of this machine. Nothing is locked: whoever removes or moves a runtime
 * meanwhile takes what was opened with it.
 */
export function createProcessFiles(dataDir: string, layoutOf: (runtimeId: string) => RuntimeLayout): RuntimeFiles {
  const find = ({ runtimeId, gatewayAgentId }: WorkspacePlace) => {
    const layout = layoutOf(runtimeId);
    return { root: layout.stateDir, directory: gatewayPathsOf(layout).workspaceOf(gatewayAgentId) };
  };
  return {
    list(place, options) {
      const { root, directory } = find(place);
      return listFilesBelow(root, directory, options);
    },
    read(place, path, options) {
      const { root, directory } = find(place);
      return readFileBelow(root, { directory, path }, options);
    },
    write(place, path, content, options) {
      const { root, directory } = find(place);
      return explainingStorage(dataDir, () => writeFileBelow(root, { directory, path }, content, options));
    },
    remove(place, path, options) {
      const { root, directory } = find(place);
      return removeFileBelow(root, { directory, path }, options);
    },
  };
}
