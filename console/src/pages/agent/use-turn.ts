import { useCallback, useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { useQueryClient } from '@tanstack/react-query';
import type { Step } from '../../../../sdk/typescript/src/generated/resources.ts';
import type { Reply, ReplyPart } from '../../../../sdk/typescript/src/reply.ts';
import { client } from '../../client/client.ts';
import type { AgentPlace } from './agent-page.tsx';
import { encoded } from './use-attachments.ts';

/** A turn that this page follows. */
export interface Turn {
  /** What was said; null for a turn that was under way when the page opened. */
  message: string | null;
  /** The names of the files that go with the message. */
  files: readonly string[];
  messageId: string | null;
  text: string;
  steps: Step[];
}

interface Turns {
  turn: Turn | null;
  error: unknown;
  /** Resolves when the reply has ended. False: the message was not taken. */
  send: (message: string, files: readonly File[], sessionId: string | null) => Promise<boolean>;
  /** Goes on with a reply that another page, or an earlier visit, has asked for. */
  follow: (messageId: string) => void;
  cancel: () => void;
}

/** Sends a message and shows its reply as it is written, frame by frame of the screen. */
export function useTurn({ instanceId, agentId }: AgentPlace): Turns {
  const cache = useQueryClient();
  const [turn, setTurn] = useState<Turn | null>(null);
  const [error, setError] = useState<unknown>(null);
  const left = useRef(new AbortController());
  useEffect(() => {
    left.current = new AbortController();
    return () => left.current.abort();
  }, []);

  const show = useCallback(
    async (reply: Reply, begun: Turn) => {
      const { signal } = left.current;
      const parts = reply[Symbol.asyncIterator]();
      // The call is under way while the page draws the question.
      const first = parts.next();
      setError(null);
      setTurn(begun);
      const drawn = drawer(begun, setTurn);
      try {
        for (let next = await first; !next.done; next = await parts.next()) drawn.add(next.value, reply.messageId ?? null);
        if (reply.messageId !== undefined) cache.setQueryData(['steps', reply.messageId], drawn.steps());
      } catch (cause) {
        if (!signal.aborted) setError(cause);
      } finally {
        drawn.stop();
      }
      const isTaken = reply.messageId !== undefined;
      if (signal.aborted) return isTaken;
      await cache.invalidateQueries({ queryKey: ['said', instanceId] });
      setTurn(null);
      return isTaken;
    },
    [cache, instanceId],
  );

  return {
    turn,
    error,
    send: async (message, files, sessionId) => {
      const begun = { message, files: files.map(({ name }) => name), messageId: null, text: '', steps: [] };
      if (files.length > 0) setTurn(begun);
      const attachments = files.length > 0 ? await encoded(files) : [];
      const body = { message, attachments, include: ['steps' as const], ...(sessionId === null ? {} : { sessionId }) };
      const reply = client.messages.sendAndStream(instanceId, agentId, body, { signal: left.current.signal });
      return show(reply, begun);
    },
    follow: useCallback(
      (messageId) => {
        const reply = client.messages.stream(
          instanceId,
          agentId,
          messageId,
          { include: 'steps' },
          { signal: left.current.signal },
        );
        void show(reply, { message: null, files: [], messageId, text: '', steps: [] });
      },
      [agentId, instanceId, show],
    ),
    cancel: () => {
      const cancelled = turn?.messageId
        ? client.messages.cancel(instanceId, agentId, turn.messageId)
        : cancelNewest({ instanceId, agentId });
      cancelled.catch(setError);
    },
  };
}

/** Before its first word the reply has no id here: it is the newest one that is pending. */
async function cancelNewest({ instanceId, agentId }: AgentPlace): Promise<void> {
  const { messages } = await client.messages.list(instanceId, agentId, { limit: 10 }).page();
  const pending = messages.findLast(({ status }) => status === 'pending');
  if (pending) await client.messages.cancel(instanceId, agentId, pending.messageId);
}

/** Shows the first part of a reply at once, and what follows at most once a frame, however fast it comes. */
function drawer(begun: Turn, setTurn: (turn: Turn) => void) {
  let now = begun;
  let frame: number | null = null;
  let isFirst = true;
  return {
    add(part: ReplyPart, messageId: string | null) {
      if (part.type === 'text') now = { ...now, messageId, text: now.text + part.text };
      if (part.type === 'step')
        now = { ...now, messageId, steps: [...now.steps.filter(({ stepId }) => stepId !== part.step.stepId), part.step] };
      if (isFirst) flushSync(() => setTurn(now));
      else
        frame ??= requestAnimationFrame(() => {
          frame = null;
          setTurn(now);
        });
      isFirst = false;
    },
    steps: () => now.steps,
    stop() {
      if (frame !== null) cancelAnimationFrame(frame);
    },
  };
}
