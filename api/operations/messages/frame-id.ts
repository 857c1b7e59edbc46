import { readPlace, writePlace } from '../../../turns/conversation/reply-place.ts';
import type { ReplyPlace } from '../../../turns/conversation/reply-place.ts';

/** Which frames of a streamed reply a client has. */
export interface FramePlace {
  reply: ReplyPlace;
  /** The chunk with the finish reason too. */
  isFinished: boolean;
}

const MARKS = { text: '', finish: '-finish', done: '-done' } as const;
const WRITTEN = /^(.+?)(-finish|-done)?$/;

/** The id of a frame, which is opaque to clients. */
export function writeFrameId(reply: ReplyPlace, kind: keyof typeof MARKS): string {
  return writePlace(reply) + MARKS[kind];
}

/** Null for a text that writeFrameId has not made. */
export function readFrameId(text: string): FramePlace | null {
  const [, place = '', mark] = WRITTEN.exec(text) ?? [];
  const reply = readPlace(place);
  return reply && { reply, isFinished: mark !== undefined };
}
