import { recordSteps } from '../../database/messages/steps.ts';
import { MAX_STEPS } from '../../domain/steps.ts';
import type { Step } from '../../domain/steps.ts';
import type { ToolSign } from '../../runtime/gateway/tool-sign.ts';
import type { TurnDeps } from '../turn-deps.ts';
import { createHide, findHiddenValues } from './hidden-values.ts';
import type { Hide } from './step-list.ts';
import { StepList } from './step-list.ts';

interface RecorderDeps extends Pick<TurnDeps, 'orm' | 'masterKeys' | 'clock' | 'log' | 'maxStoredBytes'> {
  turn: { messageId: string; instanceId: string; runtimeId: string };
  /** Whether this process stores them: it has sent the turn. */
  stores: boolean;
  /** Gets each step when it begins, and when it has ended. */
  onStep: (step: Step) => void;
}

/** While a turn goes on its steps are stored at most so often. */
const STORE_MS = 1_000;
/** Each step has two. */
const MAX_SIGNS = 2 * MAX_STEPS;

/** Tells of what a turn does with tools, as it is heard, and stores it. A turn that does nothing costs nothing. */
export class StepRecorder {
  readonly #deps: RecorderDeps;
  readonly #list: StepList;
  #signs = 0;
  #hide: Promise<Hide> | null = null;
  /** What is under way, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #isStored = true;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#list = new StepList(deps.turn.messageId);
  }

  /** Takes what was heard. The first of a connection reads what must not be shown: call forgetSecrets for a new one. */
  hear(sign: ToolSign): void {
    if ((this.#signs += 1) > MAX_SIGNS) return;
    const now = this.#deps.clock();
    this.#do(async () => {
      this.#hide ??= this.#readHide();
      const step = this.#list.add(sign, now, await this.#hide);
      if (!step) return;
      this.#deps.onStep(step);
      if (!this.#deps.stores) return;
      this.#isStored = false;
      this.#timer ??= setTimeout(() => void this.store(), STORE_MS);
    });
  }

  /** Changed secrets come with a restart of the gateway. */
  forgetSecrets(): void {
    this.#hide = null;
  }

  /** Resolves when everything that was heard was told and stored, or could not be. Never rejects. */
  async store(): Promise<void> {
    this.#do(async () => {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#isStored) return;
      const { orm, clock, maxStoredBytes, turn } = this.#deps;
      const steps = [...this.#list.steps];
      await recordSteps(orm.em.fork(), { messageId: turn.messageId, steps, now: clock(), maxStoredBytes });
      this.#isStored = true;
    });
    await this.#work;
  }

  #do(work: () => Promise<void>): void {
    const { log, turn } = this.#deps;
    this.#work = this.#work.then(work).catch((err: unknown) => {
      this.#hide = null;
      log.warn({ err, messageId: turn.messageId }, 'could not take a step of a turn');
    });
  }

  async #readHide(): Promise<Hide> {
    const { orm, masterKeys, turn } = this.#deps;
    return createHide(await findHiddenValues(orm.em.fork(), masterKeys, turn));
  }
}
