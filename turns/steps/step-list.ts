import { createHash } from 'node:crypto';
import { MAX_STEPS, MAX_STEP_TEXT_BYTES } from '../../domain/steps.ts';
import type { Step } from '../../domain/steps.ts';
import { cutText } from '../../lib/text/cut-text.ts';
import type { ToolSign } from '../../runtime/gateway/tool-sign.ts';

/** Takes out of a text what must not be shown. */
export type Hide = (text: string) => string;

/** The texts of one turn that are looked through; what comes after that is not shown. */
const MAX_CHARACTERS = 4 * 1024 ** 2;
const MAX_NAME_BYTES = 128;
const LAST_TIME_MS = Date.UTC(9999, 11, 31);

/** The steps of one turn, made of what its gateway tells about calls of tools. */
export class StepList {
  readonly #messageId: string;
  readonly #steps: Step[] = [];
  /** The last step of each call id, and how many there were. */
  readonly #calls = new Map<string, { index: number; count: number }>();
  #characters = 0;

  constructor(messageId: string) {
    this.#messageId = messageId;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** Takes what was told at this moment, and answers the step as it is now; null where it makes no difference. */
  add(sign: ToolSign, now: Date, hide: Hide): Step | null {
    const at = timeOf(sign, now);
    const known = this.#calls.get(sign.callId);
    const open = known && this.#steps[known.index];
    const isOpen = open?.status === 'started';
    if (sign.phase === 'started') return isOpen ? null : this.#begin(sign, at, hide(sign.name), this.#shown(sign.input, hide));
    const begun = isOpen ? open : this.#begin(sign, at, hide(sign.name), null);
    if (!begun) return null;
    const end = { status: 'ended', endedAt: at, isError: sign.isError, output: this.#shown(sign.output, hide) } as const;
    const ended: Step = { ...begun, ...end };
    this.#steps[this.#indexOf(sign)] = ended;
    return ended;
  }

  #begin({ callId }: ToolSign, startedAt: string, name: string, input: string | null): Step | null {
    if (this.#steps.length >= MAX_STEPS) return null;
    const count = (this.#calls.get(callId)?.count ?? 0) + 1;
    this.#calls.set(callId, { index: this.#steps.length, count });
    const step: Step = {
      stepId: stepId(this.#messageId, callId, count),
      kind: 'tool',
      name: cutText(name, MAX_NAME_BYTES).text,
      status: 'started',
      ...{ startedAt, endedAt: null, isError: false, input, output: null },
    };
    this.#steps.push(step);
    return step;
  }

  #indexOf({ callId }: ToolSign): number {
    return this.#calls.get(callId)?.index ?? this.#steps.length;
  }

  /** Masked before it is cut: a half of a secret would not be found. */
  #shown(text: string, hide: Hide): string | null {
    this.#characters += text.length;
    return this.#characters > MAX_CHARACTERS ? null : cutText(hide(text), MAX_STEP_TEXT_BYTES).text;
  }
}

/** A model may use the id of a call again, so its number belongs to it. */
function stepId(messageId: string, callId: string, count: number): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([messageId, callId, count]))
    .digest('hex');
  return `step_${digest.slice(0, 20)}`;
}

function timeOf({ atMs }: ToolSign, now: Date): string {
  const isTime = atMs !== null && atMs >= 0 && atMs <= LAST_TIME_MS;
  return (isTime ? new Date(atMs) : now).toISOString();
}
