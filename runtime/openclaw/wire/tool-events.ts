import { z } from 'zod';
import type { ToolSign } from '../../gateway/tool-sign.ts';
import { messageContent, textOfContent } from '../conversation/message-text.ts';

/** What an event says of a call of a tool. */
export interface ToolEvent {
  kind: 'tool';
  sign: ToolSign;
  toolsClosed: boolean;
}

/** The data of an event of the stream `tool`, as far as it begins or ends a call. */
export const toolData = z.looseObject({
  phase: z.enum(['start', 'result']),
  name: z.string(),
  toolCallId: z.string(),
  /** Of a call within a call, which the history does not have. */
  parentToolCallId: z.string().nullish().catch(null),
  args: z.unknown().optional(),
  isError: z.boolean().nullish().catch(null),
  result: z.unknown().optional(),
});

const toolResult = z.looseObject({ content: messageContent.nullish().catch(null) });

/** What every tool answers once the gateway has closed them, in JSON or alone. */
const TOOLS_CLOSED = 'Async work scope is closed';
const toolError = z.looseObject({ error: z.string() });

/** The beginning or end of a call that this data tells of; null for everything else. */
export function toolEvent(data: z.infer<typeof toolData> | undefined): ToolEvent | null {
  if (!data || data.parentToolCallId) return null;
  const call = { callId: data.toolCallId, name: data.name, atMs: null };
  if (data.phase === 'start')
    return { kind: 'tool', sign: { ...call, phase: 'started', input: jsonOf(data.args) }, toolsClosed: false };
  const content = toolResult.safeParse(data.result).data?.content;
  const isError = data.isError === true;
  const sign = { ...call, phase: 'ended' as const, output: textOfContent(content), isError };
  return { kind: 'tool', sign, toolsClosed: isError && saysClosed(sign.output.trim()) };
}

/** The arguments of a call as JSON; those that are text already stay as they are. */
export function jsonOf(args: unknown): string {
  return typeof args === 'string' ? args : (JSON.stringify(args) ?? '');
}

/** Only an error of the gateway itself: what a command prints may hold any text. */
function saysClosed(said: string): boolean {
  if (said === TOOLS_CLOSED) return true;
  if (!said.includes(TOOLS_CLOSED)) return false;
  try {
    return toolError.safeParse(JSON.parse(said)).data?.error === TOOLS_CLOSED;
  } catch {
    return false;
  }
}
