import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { UIEvent } from 'react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { DropZone } from '../../ui/drop-zone.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import type { AgentPlace } from './agent-page.tsx';
import { Composer } from './composer.tsx';
import { Conversations } from './conversations.tsx';
import { Files } from './files.tsx';
import { Running, Said } from './said.tsx';
import { useAttachments } from './use-attachments.ts';
import { useTurn } from './use-turn.ts';

const PAGE = 50;
/** A reader this near to the end has not gone back. */
const NEAR_END_PX = 60;

interface ChatProps extends AgentPlace {
  name: string;
  /** Whether the instance takes messages now. */
  isReady: boolean;
  /** Whether it will, because the instance starts. */
  isComing: boolean;
}

/** The conversations of an agent, one of them to talk in, and the agent's files. */
export function Chat({ instanceId, agentId, name, isReady, isComing }: ChatProps) {
  const place = { instanceId, agentId };
  const [sessionId, setSessionId] = useState<string | null>(null);
  const message = 'Good morning!';
  return (
    <>
      <div className="chat">
        <Conversations {...place} sessionId={sessionId} onChosen={setSessionId} />
        <Conversation key={sessionId} {...place} sessionId={sessionId} name={name} isReady={isReady} isComing={isComing} />
        <Files {...place} />
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

function Conversation({ instanceId, agentId, sessionId, name, isReady, isComing }: ChatProps & { sessionId: string | null }) {
  const place = { instanceId, agentId };
  const { turn, error, send, follow, cancel } = useTurn(place);
  const attachments = useAttachments();
  const history = useHistory(place, sessionId);
  const messages = history.data ?? [];
  const pending = messages.findLast(({ status }) => status === 'pending')?.messageId;
  useEffect(() => {
    if (pending !== undefined && turn === null) follow(pending);
  }, [pending, turn, follow]);
  const { list, onScroll } = useEndInSight();
  // What this page is sending is in the history already once it was accepted.
  const isStored = turn !== null && pending !== undefined;
  return (
    <DropZone className="conversation" label="Conversation" onFiles={attachments.add}>
      <div className="messages" role="log" tabIndex={0} aria-label="Messages" ref={list} onScroll={onScroll}>
        {history.hasNextPage && (
          <button type="button" className="quiet" onClick={() => void history.fetchNextPage()}>
            Show earlier messages
          </button>
        )}
        {history.isSuccess && messages.length === 0 && turn === null && (
          <EmptyState title={`Say something to ${name}`}>
            <p>
              {isReady
                ? 'The reply appears here as it is written.'
                : isComing
                  ? 'Write it now: it is sent as soon as the instance runs.'
                  : 'You can as soon as the instance runs.'}
            </p>
          </EmptyState>
        )}
        {messages.map((said) => said.status === 'pending' || <Said key={said.messageId} {...place} message={said} name={name} />)}
        {turn && <Running turn={turn} name={name} isStored={isStored} />}
      </div>
      <Problem error={error ?? history.error} />
      <Composer
        isReady={isReady}
        isComing={isComing}
        isBusy={turn !== null}
        attachments={attachments}
        onSend={(text, files) => send(text, files, sessionId)}
        onCancel={cancel}
      />
    </DropZone>
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
