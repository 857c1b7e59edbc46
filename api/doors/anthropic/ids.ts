import { z } from 'zod';
import { idPattern } from '../../../domain/ids.ts';

/** The id of the environment that this instance is. */
export function environmentId(instanceId: string): string {
  return instanceId.replace(/^inst_/, 'env_');
}

/** The instance that this id of an environment means; one that no instance has where it is none. */
export function instanceOfEnvironment(id: string): string {
  return id.replace(/^env_/, 'inst_');
}

/** Ids in a path: whatever is not one of ours is not found. */
export const environmentParams = z.object({ environmentId: z.string().max(128) });
export const agentParams = z.object({ agentId: z.string().max(128) });
export const sessionParams = z.object({ sessionId: z.string().max(128) });

/** Which kinds of events an agent's turn has; steps have their own number in it. */
export type EventKind = 'user' | 'interrupt' | 'running' | 'message' | 'error' | 'idle' | `use${string}` | `result${string}`;

/** The id of an event of the turn with this reply: the same wherever the event is shown. */
export function eventId(replyId: string, kind: EventKind): string {
  return `sevt_${replyId.slice('msg_'.length)}_${kind}`;
}

/** The reply whose turn an event belongs to; null for an id that eventId has not made. */
export function replyOfEvent(id: string): string | null {
  const replyId = `msg_${/^sevt_([a-z0-9]+)_[a-z0-9]+$/.exec(id)?.[1] ?? ''}`;
  return idPattern('msg').test(replyId) ? replyId : null;
}
