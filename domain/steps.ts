/** Something that an agent did during a turn, as its customer sees it: a call of a tool. */
export interface Step {
  /** The same in every stream and answer, whichever process saw the call. */
  stepId: string;
  kind: 'tool';
  name: string;
  status: 'started' | 'ended';
  /** ISO 8601 in UTC, as `endedAt`. */
  startedAt: string;
  endedAt: string | null;
  isError: boolean;
  /** Masked and cut. Null: it is not known, or there was too much of it. */
  input: string | null;
  output: string | null;
}

/** How many steps of a turn are shown: its first ones. */
export const MAX_STEPS = 200;

/** So much of an input, and of an output, is shown, in bytes of UTF-8. */
export const MAX_STEP_TEXT_BYTES = 4 * 1024;

/** How long the steps of a turn are kept. */
export const STEPS_KEPT_DAYS = 30;
