import { useMutation, useQuery } from '@tanstack/react-query';
import { dataUrlOf, saveAs } from '../../client/browser-files.ts';
import { client } from '../../client/client.ts';
import { bytes } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Markdown } from '../../ui/markdown.tsx';
import { Problem } from '../../ui/problem.tsx';
import type { AgentPlace } from './agent-page.tsx';

/** What is larger is offered for download alone. */
const LARGEST_SHOWN = 2 * 1024 * 1024;
/** Kinds that a browser draws and never runs. */
const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

export interface AgentFile {
  path: string;
  size: number;
  mediaType: string;
}

interface FileDialogProps extends AgentPlace {
  file: AgentFile;
  onDeleted: () => unknown;
  onClose: () => void;
}

/** A file of an agent: its content where it can be shown, to download and to delete. */
export function FileDialog({ instanceId, agentId, file, onDeleted, onClose }: FileDialogProps) {
  const { path, size } = file;
  const fetchFile = async () => (await client.files.get(instanceId, agentId, path)).blob();
  const download = useMutation({ mutationFn: async () => saveAs(await fetchFile(), path.split('/').at(-1) ?? path) });
  const remove = useMutation({
    mutationFn: () => client.files.delete(instanceId, agentId, path),
    onSuccess() {
      onClose();
      return onDeleted();
    },
  });
  const ask = () => {
    if (confirm(`Delete ${path}? It cannot be brought back.`)) remove.mutate();
  };
  return (
    <Dialog title={path} onClose={onClose}>
      {size <= LARGEST_SHOWN ? (
        <Preview {...{ instanceId, agentId, file }} />
      ) : (
        <p className="muted">{bytes(size)} are too large to be shown here.</p>
      )}
      <Problem error={download.error ?? remove.error} />
      <div className="actions">
        <button type="button" className="primary" disabled={download.isPending} onClick={() => download.mutate()}>
          Download
        </button>
        <button type="button" className="danger" disabled={remove.isPending} onClick={ask}>
          Delete
        </button>
      </div>
    </Dialog>
  );
}

function Preview({ instanceId, agentId, file: { path, mediaType } }: AgentPlace & { file: AgentFile }) {
  const content = useQuery({
    queryKey: ['said', instanceId, agentId, 'file', path],
    queryFn: async () => shownOf(await (await client.files.get(instanceId, agentId, path)).blob(), mediaType),
  });
  if (!content.data) return content.error ? <Problem error={content.error} /> : <p className="loading">Loading the file</p>;
  const { text, image } = content.data;
  if (image !== null) return <img className="file-image" src={image} alt={path} />;
  if (text === null) return <p className="muted">This file is not text, so it is not shown here.</p>;
  return (
    <div className="file-text" tabIndex={0} role="region" aria-label={`Content of ${path}`}>
      {/\.(?:md|markdown)$/i.test(path) ? <Markdown text={text} /> : <pre>{text}</pre>}
    </div>
  );
}

/** The content as something that can be shown; neither is there for other bytes. */
async function shownOf(content: Blob, mediaType: string): Promise<{ text: string | null; image: string | null }> {
  if (IMAGES.has(mediaType)) return { text: null, image: await dataUrlOf(new Blob([content], { type: mediaType })) };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await content.arrayBuffer());
    return { text: text.includes('\0') ? null : text, image: null };
  } catch {
    return { text: null, image: null };
  }
}
