import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { bytes, fromNow } from '../../format.ts';
import { DropZone } from '../../ui/drop-zone.tsx';
import { FileButton } from '../../ui/file-button.tsx';
import { Problem } from '../../ui/problem.tsx';
import { ShowMore } from '../../ui/show-more.tsx';
import type { AgentPlace } from './agent-page.tsx';
import { FileDialog } from './file-dialog.tsx';
import type { AgentFile } from './file-dialog.tsx';

const PAGE = 100;
const LARGEST_BYTES = 25 * 1024 * 1024;

/** The files of the agent: what it has written, what came with messages, and what is put there by hand. */
export function Files({ instanceId, agentId }: AgentPlace) {
  const [prefix, setPrefix] = useState('');
  const [opened, setOpened] = useState<AgentFile | null>(null);
  const cache = useQueryClient();
  // Below `said`, so that it is asked for again when the agent has said something: it may have written files meanwhile.
  const queryKey = ['said', instanceId, agentId, 'files'];
  const again = () => cache.invalidateQueries({ queryKey });
  const list = usePages([...queryKey, prefix], (place) =>
    client.files.list(instanceId, agentId, { prefix, limit: PAGE, ...place }).page(),
  );
  const files = list.data?.pages.flatMap((page) => page.files) ?? [];
  const upload = useUpload({ instanceId, agentId }, again);
  const take = (given: readonly File[]) => {
    const known = given.filter(({ name }) => files.some(({ path }) => path === name)).map(({ name }) => name);
    if (known.length === 0 || confirm(`Replace ${known.join(', ')}?`)) upload.mutate(given);
  };
  return (
    <DropZone className="files" label="Files of the agent" onFiles={take}>
      <div className="files-head">
        <h2>Files</h2>
        <FileButton text={upload.isPending ? 'Uploading' : 'Upload'} disabled={upload.isPending} onFiles={take} />
      </div>
      {(list.hasNextPage || prefix !== '') && (
        <input
          aria-label="Only paths that begin with"
          placeholder="Folder, such as notes/"
          value={prefix}
          onChange={(event) => setPrefix(event.target.value)}
        />
      )}
      <Problem error={upload.error ?? list.error} />
      {list.isSuccess && files.length === 0 && <p className="muted small">No files. Drop some here.</p>}
      <ul>
        {files.map((file) => (
          <li key={file.path}>
            <button type="button" className="quiet" onClick={() => setOpened(file)} title={file.path}>
              <span className="clip">{file.path.slice(file.path.lastIndexOf('/') + 1)}</span>
              <span className="muted small clip">
                {bytes(file.size)}, {fromNow(file.modifiedAt)}
                {file.path.includes('/') && `, in ${file.path.slice(0, file.path.lastIndexOf('/'))}`}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <ShowMore list={list} className="quiet small" />
      {opened && (
        <FileDialog instanceId={instanceId} agentId={agentId} file={opened} onDeleted={again} onClose={() => setOpened(null)} />
      )}
    </DropZone>
  );
}

/** Puts files into the agent's workspace, one after the other. */
function useUpload({ instanceId, agentId }: AgentPlace, onUploaded: () => unknown) {
  return useMutation({
    mutationFn: async (files: readonly File[]) => {
      for (const file of files) {
        if (file.size > LARGEST_BYTES)
          throw new Error(`${file.name} has ${bytes(file.size)}. A file can have at most ${bytes(LARGEST_BYTES)}.`);
        await client.files.put(instanceId, agentId, file.name, file);
      }
    },
    onSettled: onUploaded,
  });
}
