import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

/** The events that come before the first text have the numbers before this one. */
export const HEAD_EVENTS = 4;

/** Numbers for each length of a text: one of them says what the text is. A text of 1 MiB stays within 31 bits. */
const PER_LENGTH = 1_024;

/** How much a client has that has received the event with this number. */
export interface Received {
  /** Of the text, in UTF-16 units; more than there is where the client has events that follow it. */
  length: number;
  number: number;
}

/** Reads a number that EventNumbers has made. */
export function readNumber(number: number): Received {
  return { length: Math.floor(number / PER_LENGTH), number };
}

/**
 * Numbers the events of a reply so that any process counts alike, however its text comes in pieces: an event that brings a
 * piece has the length of the text up to there in its number, and a digest of it. A gateway that dies makes another try,
 * which may say something else: by the digest that is noticed when a client comes back.
 */
export class EventNumbers {
  readonly #hash: Hash = createHash('sha256');
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Counts a piece. No piece may end in the middle of a character. */
  add(piece: string): void {
    this.#hash.update(piece);
    this.#length += piece.length;
  }

  /** Of the event with the last piece. */
  ofText(): number {
    const digest = this.#hash.copy().digest().readUInt16BE() % PER_LENGTH;
    return this.#length === 0 ? HEAD_EVENTS - 1 : this.#length * PER_LENGTH + digest;
  }

  /** Of the events that follow the text, from 0. */
  ofTail(index: number): number {
    return (this.#length + 1) * PER_LENGTH + index;
  }
}
