import type { Writable } from 'node:stream';

/** A program of ours that works on the files of an instance, where the instance has them, and is spoken to while it runs. */
export interface OpenProgram {
  /** What it reads. */
  input: Writable;
  /** What it prints, as it comes. */
  output: AsyncGenerator<Buffer, void>;
  /** Ends it, and removes what was made for it. */
  close(): Promise<void>;
}
