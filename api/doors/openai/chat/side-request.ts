import type { ChatMessage } from './chat-request.ts';

/**
 * How the requests begin by which chat pages ask for a title, tags, further questions or an emoji: those of Open WebUI, and of
 * LibreChat. They hold the conversation, or its last message, in one message.
 */
const BEGINNINGS = [
  /^### Task:\s[^]*<chat_history>/,
  /^Your task is to reflect the speaker's likely facial expression/,
  /^Provide a concise, 5-word-or-less title for the conversation/,
  /^Analyze this conversation and provide:\s/,
];

/** Whether a chat page asks something about a conversation, not in it. */
export function isSideRequest(messages: readonly ChatMessage[]): boolean {
  const last = messages.at(-1);
  if (last?.role !== 'user' && last?.role !== 'system') return false;
  return BEGINNINGS.some((beginning) => beginning.test(last.content.trimStart()));
}
