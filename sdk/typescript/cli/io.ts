/** What a command reads and writes. A test gives its own. */
export interface Io {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: Readonly<Record<string, string | undefined>>;
}

/** Exit codes that scripts can rely on. 130 is an interrupt. */
export const EXIT = { ok: 0, failed: 1, usage: 2, credentials: 3, notFound: 4, notNow: 5, interrupted: 130 } as const;

/** A mistake of the user, told in a sentence, without a stack. */
export class UserError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.usage) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Text of an agent or another customer as a terminal may show it: without the control characters that move the cursor, rename
 * the window or do worse. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is taken away
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '');
}
