import { z } from 'zod';

/** The content of a message as the gateway writes it: a string, or parts of which those of type text count. */
export const messageContent = z.union([
  z.string(),
  z.array(z.looseObject({ type: z.string(), text: z.string().optional().catch(undefined) })),
]);

export type MessageContent = z.infer<typeof messageContent>;

/** The text of a message, without tool calls and whatever else is in it. */
export function textOfContent(content: MessageContent | null | undefined): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join('');
}
