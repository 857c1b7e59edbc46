import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

/**
 * How far a caller has received a reply: the number of UTF-16 units of its text, and a digest of them. A gateway that dies makes
 * another try, which may say something else: the digest tells whether a text is the one that the caller has.
 */
export interface ReplyPlace {
  length: number;
  digest: string;
}

const DIGEST_CHARS = 16;

/** The place at the end of a text that is added piece by piece. */
export class ReplyPlaces {
  readonly #hash: Hash = createHash('sha256');
  #length = 0;

  /** Answers the place behind this piece. No piece may end in the middle of a character. */
  add(piece: string): ReplyPlace {
    this.#hash.update(piece);
    this.#length += piece.length;
    return this.last();
  }

  last(): ReplyPlace {
    return { length: this.#length, digest: this.#hash.copy().digest('hex').slice(0, DIGEST_CHARS) };
  }
}

/** Before the first character. */
export const REPLY_BEGIN: ReplyPlace = new ReplyPlaces().last();

/** Whether this text goes on after that place: false also while it is too short to tell. */
export function continuesAt(text: string, { length, digest }: ReplyPlace): boolean {
  return text.length >= length && new ReplyPlaces().add(text.slice(0, length)).digest === digest;
}

const WRITTEN = /^(\d{1,8})-([0-9a-f]{16})$/;

/** A place as text, which readPlace reads. */
export function writePlace({ length, digest }: ReplyPlace): string {
  return `${length}-${digest}`;
}

/** Null for a text that writePlace has not made. */
export function readPlace(text: string): ReplyPlace | null {
  const [, length, digest] = WRITTEN.exec(text) ?? [];
  return length === undefined || digest === undefined ? null : { length: Number(length), digest };
}
