import { z } from 'zod';
import type { ChatRequest, Prompt } from './fake-model-request.ts';

/** What the fake model does with one call. */
export type Script =
  | { kind: 'fail'; status: number }
  | { kind: 'tool'; name: string; argumentsJson: string; says: string[] }
  | {
      kind: 'text';
      words: string[];
      delayMs: number;
      hold: { name: string; afterWords: number } | null;
      breaks: boolean;
      finishReason: string;
    };

/** Answers a message that carries no marker which decides the text. */
export type DefaultReply = (lastUserText: string) => string;

/**
 * Reads the markers of the last user message:
 * [[SAY text]], [[WORDS n]], [[SYSTEM]], [[HISTORY]] decide the text, [[PIECES ["text", ...]]] the words too, in JSON;
 * [[FAIL status]], [[TOOL name {json}]] (several are called one after the other, then the text follows),
 * [[FIRST text]] said along with each tool call, [[DELAY ms]] between words, [[HOLD name]] before the first word or
 * [[HOLD name n]] after n words, [[BREAK]] after the first word, [[FINISH reason]] for another finish_reason than stop.
 */
export function scriptOf(request: ChatRequest, prompt: Prompt, defaultReply: DefaultReply): Script {
  const { lastUserText, toolResults } = prompt;
  const fail = /\[\[FAIL (\d{3})\]\]/.exec(lastUserText);
  if (fail) return { kind: 'fail', status: Number(fail[1]) };

  const tools = [...lastUserText.matchAll(/\[\[TOOL (\S+) (\{.*?\})\]\]/gs)];
  const tool = tools[toolResults.length];
  if (tool) {
    const first = /\[\[FIRST (.*?)\]\]/s.exec(lastUserText)?.[1];
    const says = first === undefined ? [] : wordsOf(first);
    return { kind: 'tool', name: tool[1] ?? '', argumentsJson: tool[2] ?? '{}', says };
  }

  const hold = /\[\[HOLD (\S+?)(?: (\d+))?\]\]/.exec(lastUserText);
  return {
    kind: 'text',
    words: piecesOf(lastUserText) ?? wordsOf(replyOf(request, prompt, defaultReply)),
    delayMs: Number(/\[\[DELAY (\d+)\]\]/.exec(lastUserText)?.[1] ?? 0),
    hold: hold ? { name: hold[1] ?? '', afterWords: Number(hold[2] ?? 0) } : null,
    breaks: lastUserText.includes('[[BREAK]]'),
    finishReason: /\[\[FINISH (\w+)\]\]/.exec(lastUserText)?.[1] ?? 'stop',
  };
}

function piecesOf(lastUserText: string): string[] | null {
  const pieces = /\[\[PIECES (\[.*?\])\]\]/s.exec(lastUserText)?.[1];
  return pieces === undefined ? null : z.array(z.string()).parse(JSON.parse(pieces));
}

function wordsOf(text: string): string[] {
  return text.split(/(?<=\S)(?=\s+\S)/);
}

function replyOf(request: ChatRequest, { system, lastUserText, toolResults }: Prompt, defaultReply: DefaultReply): string {
  const say = /\[\[SAY (.*?)\]\]/s.exec(lastUserText);
  if (say) return say[1] ?? '';
  const count = /\[\[WORDS (\d+)\]\]/.exec(lastUserText);
  if (count) return Array.from({ length: Number(count[1]) }, (_, index) => `w${index + 1}`).join(' ');
  if (lastUserText.includes('[[SYSTEM]]')) return system;
  if (lastUserText.includes('[[HISTORY]]')) return String(request.messages.length);
  const toolResult = toolResults.at(-1);
  return toolResult === undefined ? defaultReply(lastUserText) : `The tool said: ${toolResult}`;
}
