import { memo, useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { Message } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { bytes, money, time } from '../../format.ts';
import { Markdown } from '../../ui/markdown.tsx';
import { Problem } from '../../ui/problem.tsx';
import type { AgentPlace } from './agent-page.tsx';
import { FileDialog } from './file-dialog.tsx';
import { Steps } from './steps.tsx';
import type { Turn } from './use-turn.ts';

/** A message that was said: by a person with its attachments, or by the agent with what it did and used. */
export const Said = memo(function Said({ message, name, ...place }: AgentPlace & { message: Message; name: string }) {
  const { role, content, sender, timestamp, status, error, attachments } = message;
  return (
    <article className={`said said-${role}`}>
      <header>
        <strong>{role === 'agent' ? name : sender.name}</strong> <time className="muted small">{time(timestamp)}</time>
      </header>
      {role === 'agent' && <StepsOf {...place} message={message} />}
      {role === 'agent' ? <Markdown text={content} /> : <p className="plain">{content}</p>}
      {attachments && <Attachments {...place} attachments={attachments} />}
      {status === 'cancelled' && <p className="muted small">You cancelled this reply.</p>}
      {status === 'failed' && <Problem error={new Error(error?.message ?? 'The reply failed. Send the message again.')} />}
      <Used message={message} />
    </article>
  );
});

/** What the reply used. */
function Used({ message: { usage } }: { message: Message }) {
  if (usage === undefined || usage.outputTokens === 0) return null;
  return (
    <footer className="muted small">
      {usage.inputTokens} tokens read, {usage.outputTokens} written
      {usage.costNanoUsd !== '0' && `, ${money(usage.costNanoUsd)}`}
    </footer>
  );
}

/** What the agent did for a reply. What this page has seen is there at once; the rest is asked for. */
function StepsOf({ instanceId, agentId, message }: AgentPlace & { message: Message }) {
  const [isAsked, setIsAsked] = useState(false);
  const { messageId, requestMessageId } = message;
  const { data: steps, error } = useQuery({
    queryKey: ['steps', messageId],
    queryFn: async () => (await client.messages.get(instanceId, agentId, messageId, { include: 'steps' })).steps ?? [],
    enabled: isAsked,
    staleTime: Infinity,
  });
  if (requestMessageId === undefined) return null;
  if (steps) return steps.length > 0 ? <Steps steps={steps} /> : isAsked && <p className="muted small">It called no tool.</p>;
  return (
    <>
      <button type="button" className="quiet small steps-button" disabled={isAsked && !error} onClick={() => setIsAsked(true)}>
        Show steps
      </button>
      <Problem error={error} />
    </>
  );
}

function Attachments({ attachments, ...place }: AgentPlace & { attachments: NonNullable<Message['attachments']> }) {
  const [opened, setOpened] = useState<(typeof attachments)[number] | null>(null);
  return (
    <>
      <ul className="chips">
        {attachments.map((attachment) => (
          <li key={attachment.path}>
            <button type="button" onClick={() => setOpened(attachment)}>
              {attachment.name} <span className="muted small">{bytes(attachment.size)}</span>
            </button>
          </li>
        ))}
      </ul>
      {opened && <FileDialog {...place} file={opened} onDeleted={() => undefined} onClose={() => setOpened(null)} />}
    </>
  );
}

/** A reply while it is written, with the message before it. */
export function Running({ turn, name, isStored }: { turn: Turn; name: string; isStored: boolean }) {
  return (
    <>
      {turn.message !== null && !isStored && (
        <article className="said said-user">
          <p className="plain">{turn.message}</p>
          {turn.files.length > 0 && <p className="muted small">{turn.files.join(', ')}</p>}
        </article>
      )}
      <article className="said said-agent" aria-busy="true">
        <header>
          <strong>{name}</strong>
        </header>
        <Steps steps={turn.steps} />
        {turn.text === '' ? <p className="muted thinking">Thinking</p> : <Markdown text={turn.text} />}
      </article>
    </>
  );
}
