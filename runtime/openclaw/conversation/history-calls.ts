import { z } from 'zod';
import type { ToolSign } from '../../gateway/tool-sign.ts';
import { jsonOf } from '../wire/tool-events.ts';
import type { HistoryRow } from './gateway-history.ts';
import type { MessageContent } from './message-text.ts';

/** A tool that a row of a history calls. */
export interface CalledTool {
  callId: string;
  name: string;
  input: string;
}

const toolCall = z
  .looseObject({ type: z.literal('toolCall'), id: z.string(), name: z.string(), arguments: z.unknown().optional() })
  .transform(({ id, name, arguments: args }): CalledTool => ({ callId: id, name, input: jsonOf(args) }));

/** What a row says of the call that it answers. */
export const toolAnswer = z
  .looseObject({ toolCallId: z.string(), isError: z.boolean().nullish().catch(null) })
  .transform(({ toolCallId, isError }) => ({ callId: toolCallId, isError: isError === true }));

export type ToolAnswer = z.output<typeof toolAnswer>;

/** The calls of tools in the content of a message, in order. */
export function callsIn(content: MessageContent | null | undefined): CalledTool[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part) => toolCall.safeParse(part).data ?? []);
}

/** What these runs did with tools, in order, as far as the rows go back. */
export function signsOf(rows: readonly HistoryRow[], runIds: readonly string[]): ToolSign[] {
  const open = new Map<string, CalledTool>();
  return rows.flatMap((row): ToolSign[] => {
    const { role, runId, atMs, answers, text } = row;
    if (role === 'assistant' && runId !== null && runIds.includes(runId)) {
      for (const call of row.calls) open.set(call.callId, call);
      return row.calls.map((call) => ({ ...call, phase: 'started', atMs }));
    }
    const call = answers && open.get(answers.callId);
    if (!call || !answers) return [];
    open.delete(call.callId);
    return [{ callId: call.callId, name: call.name, phase: 'ended', atMs, output: text, isError: answers.isError }];
  });
}
