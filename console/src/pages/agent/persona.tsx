import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { Markdown } from '../../ui/markdown.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import type { AgentPlace } from './agent-page.tsx';

/** The files that say who the agent is, each with a preview. */
export function Persona({ instanceId, agentId, files }: AgentPlace & { files: Record<string, string> }) {
  const names = Object.keys(files).toSorted();
  const [chosen, setChosen] = useState(names.includes('SOUL.md') ? 'SOUL.md' : (names[0] ?? 'SOUL.md'));
  return (
    <section>
      <p className="muted">These Markdown files say who the agent is. A change counts from its next turn on.</p>
      <div className="chips" role="group" aria-label="Files">
        {[...new Set([...names, chosen])].map((name) => (
          <button key={name} type="button" aria-pressed={name === chosen} onClick={() => setChosen(name)}>
            {name}
          </button>
        ))}
      </div>
      <Editor key={chosen} instanceId={instanceId} agentId={agentId} path={chosen} saved={files[chosen] ?? ''} />
      <Sample
        method="PATCH"
        path={`/instances/${instanceId}/agents/${agentId}`}
        body={{ files: { [chosen]: '# Who you are' } }}
        sdk={`await client.agents.update('${instanceId}', '${agentId}', { files: { '${chosen}': text } });`}
      />
    </section>
  );
}

function Editor({ instanceId, agentId, path, saved }: AgentPlace & { path: string; saved: string }) {
  const cache = useQueryClient();
  const [text, setText] = useState(saved);
  const save = useMutation({
    mutationFn: () => client.agents.update(instanceId, agentId, { files: { [path]: text } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ['instance', instanceId, 'agent', agentId] }),
  });
  const isChanged = text !== saved;
  return (
    <form onSubmit={submitted(() => save.mutate())}>
      <div className="editor">
        <textarea aria-label={path} spellCheck rows={18} value={text} onChange={(event) => setText(event.target.value)} />
        <div className="preview" tabIndex={0} role="region" aria-label={`Preview of ${path}`}>
          <Markdown text={text} />
        </div>
      </div>
      <Problem error={save.error} />
      <button type="submit" className="primary" disabled={!isChanged || save.isPending}>
        {save.isPending ? 'Saving' : 'Save'}
      </button>
      <span className="muted small" role="status">
        {isChanged ? ' Not saved yet.' : save.isSuccess && ' Saved.'}
      </span>
    </form>
  );
}
