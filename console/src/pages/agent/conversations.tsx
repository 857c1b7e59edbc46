import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { fromNow } from '../../format.ts';
import { Problem } from '../../ui/problem.tsx';
import type { AgentPlace } from './agent-page.tsx';

interface ConversationsProps extends AgentPlace {
  /** The one that is open; null: the agent's default conversation. */
  sessionId: string | null;
  onChosen: (sessionId: string | null) => void;
}

/** The conversations of an agent, newest first, and a new one. */
export function Conversations({ instanceId, agentId, sessionId, onChosen }: ConversationsProps) {
  const cache = useQueryClient();
  const { data, error } = useQuery({
    queryKey: ['said', instanceId, agentId, 'conversations'],
    queryFn: () => client.conversations.list(instanceId, agentId, { limit: 50 }).page(),
  });
  const remove = useMutation({
    mutationFn: (conversationId: string) => client.conversations.delete(instanceId, agentId, conversationId),
    onSuccess() {
      onChosen(null);
      return cache.invalidateQueries({ queryKey: ['said', instanceId] });
    },
  });
  const open = data?.conversations.find((one) => one.sessionId === sessionId);
  return (
    <nav className="conversations" aria-label="Conversations">
      <button type="button" onClick={() => onChosen(`console-${crypto.randomUUID()}`)}>
        New conversation
      </button>
      <ul>
        {data?.conversations.map(({ conversationId, sessionId: other, title, lastAt }) => (
          <li key={conversationId}>
            <button
              type="button"
              className="quiet"
              aria-current={other === sessionId ? 'true' : undefined}
              onClick={() => onChosen(other)}
            >
              <span className="clip">{title || 'Untitled'}</span>
              <span className="muted small">{fromNow(lastAt)}</span>
            </button>
          </li>
        ))}
      </ul>
      {open && (
        <button type="button" className="quiet danger small" onClick={() => remove.mutate(open.conversationId)}>
          Delete this conversation
        </button>
      )}
      <Problem error={error ?? remove.error} />
    </nav>
  );
}
