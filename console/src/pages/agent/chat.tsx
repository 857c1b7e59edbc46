import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { KeyboardEvent, UIEvent } from 'react';
import { useInfiniteQuery } from '@tanstack/react-query';
import type { Message } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { money, time } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Markdown } from '../../ui/markdown.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import type { AgentPlace } from './agent-page.tsx';
import { Conversations } from './conversations.tsx';
import { Steps } from './steps.tsx';
import { useTurn } from './use-turn.ts';
import type { Turn } from './use-turn.ts';

const PAGE = 50;
/** A reader this near to the end has not gone back. */
const NEAR_END_PX = 60;

interface ChatProps extends AgentPlace {
  name: string;
  /** Whether the instance takes messages now. */
  isReady: boolean;
}

/** The conversations of an agent, and one of them to talk in. */
export function Chat({ instanceId, agentId, name, isReady }: ChatProps) {
  const place = { instanceId, agentId };
  const [sessionId, setSessionId] = useState<string | null>(null);
  const message = 'Good morning!';
  return (
    <>
      <div className="chat">
        <Conversations {...place} sessionId={sessionId} onChosen={setSessionId} />
        <Conversation key={sessionId} {...place} sessionId={sessionId} name={name} isReady={isReady} />
      </div>
      <Sample
        method="POST"
        path={`/instances/${instanceId}/agents/${agentId}/messages`}
        body={{ message, ...(sessionId === null ? {} : { sessionId }) }}
        sdk={`for await (const word of client.messages.sendAndStream('${instanceId}', '${agentId}', { message: '${message}' }).text()) process.stdout.write(word);`}
      />
    </>
  );
}

function Conversation({ instanceId, agentId, sessionId, name, isReady }: ChatProps & { sessionId: string | null }) {
  const { turn, error, send, follow, cancel } = useTurn({ instanceId, agentId });
  const history = useHistory({ instanceId, agentId }, sessionId);
  const messages = history.data ?? [];
  const pending = messages.findLast(({ status }) => status === 'pending')?.messageId;
  useEffect(() => {
    if (pending !== undefined && turn === null) follow(pending);
  }, [pending, turn, follow]);
  const { list, onScroll } = useEndInSight();
  // What this page is sending is in the history already once it was accepted.
  const isStored = turn !== null && pending !== undefined;
  return (
    <section className="conversation" aria-label="Conversation">
      <div className="messages" role="log" tabIndex={0} aria-label="Messages" ref={list} onScroll={onScroll}>
        {history.hasNextPage && (
          <button type="button" className="quiet" onClick={() => void history.fetchNextPage()}>
            Show earlier messages
          </button>
        )}
        {history.isSuccess && messages.length === 0 && turn === null && (
          <EmptyState title={`Say something to ${name}`}>
            <p>{isReady ? 'The reply appears here as it is written.' : 'You can as soon as the instance runs.'}</p>
          </EmptyState>
        )}
        {messages.map((said) => said.status === 'pending' || <Said key={said.messageId} message={said} name={name} />)}
        {turn && <Running turn={turn} name={name} isStored={isStored} />}
      </div>
      <Problem error={error ?? history.error} />
      <Composer isReady={isReady} isBusy={turn !== null} onSend={(text) => send(text, sessionId)} onCancel={cancel} />
    </section>
  );
}

/** Keeps the newest words in sight, unless the reader has gone back to earlier ones. */
function useEndInSight() {
  const list = useRef<HTMLDivElement>(null);
  const stays = useRef(true);
  useLayoutEffect(() => {
    if (list.current && stays.current) list.current.scrollTop = list.current.scrollHeight;
  });
  const onScroll = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }: UIEvent) => {
    stays.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  return { list, onScroll };
}

/** The messages of one conversation, oldest first. The default conversation has no name to ask for it by. */
function useHistory({ instanceId, agentId }: AgentPlace, sessionId: string | null) {
  return useInfiniteQuery({
    queryKey: ['said', instanceId, agentId, 'messages', sessionId],
    queryFn: ({ pageParam }) => {
      const query = { limit: PAGE, ...(pageParam && { cursor: pageParam }), ...(sessionId !== null && { sessionId }) };
      return client.messages.list(instanceId, agentId, query).page();
    },
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
    select: ({ pages }) => pages.toReversed().flatMap((page) => page.messages.filter((said) => said.sessionId === sessionId)),
  });
}

function Said({ message, name }: { message: Message; name: string }) {
  const { role, content, sender, timestamp, status, error, usage } = message;
  return (
    <article className={`said said-${role}`}>
      <header>
        <strong>{role === 'agent' ? name : sender.name}</strong> <time className="muted small">{time(timestamp)}</time>
      </header>
      {role === 'agent' ? <Markdown text={content} /> : <p className="plain">{content}</p>}
      {status === 'cancelled' && <p className="muted small">You cancelled this reply.</p>}
      {status === 'failed' && <Problem error={new Error(error?.message ?? 'The reply failed. Send the message again.')} />}
      {usage !== undefined && usage.outputTokens > 0 && (
        <footer className="muted small">
          {usage.inputTokens} tokens read, {usage.outputTokens} written
          {usage.costNanoUsd !== '0' && `, ${money(usage.costNanoUsd)}`}
        </footer>
      )}
    </article>
  );
}

function Running({ turn, name, isStored }: { turn: Turn; name: string; isStored: boolean }) {
  return (
    <>
      {turn.message !== null && !isStored && (
        <article className="said said-user">
          <p className="plain">{turn.message}</p>
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

interface ComposerProps {
  isReady: boolean;
  isBusy: boolean;
  onSend: (text: string) => void;
  onCancel: () => void;
}

function Composer({ isReady, isBusy, onSend, onCancel }: ComposerProps) {
  const [text, setText] = useState('');
  const canSend = isReady && !isBusy && text.trim() !== '';
  const send = () => {
    if (!canSend) return;
    onSend(text);
    setText('');
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form className="composer" onSubmit={submitted(send)}>
      <label className="hidden" htmlFor="message">
        Message
      </label>
      <textarea
        id="message"
        rows={2}
        placeholder={isReady ? 'Write a message' : 'The instance is not running'}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {isBusy ? (
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      ) : (
        <button type="submit" className="primary" disabled={!canSend}>
          Send
        </button>
      )}
    </form>
  );
}
