import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { GatewayEvent } from '../runtime/gateway/gateway-events.ts';
import { TurnTasks } from './turn-tasks.ts';

const READ_BACK = 'read back';
const AGAIN_MS = 5_000;
const AT_ONCE = 4;

interface Recording {
  gateway: Gateway;
  onEvent(event: GatewayEvent): void;
  /** Writes down what was missed. Harmless to repeat. */
  readBack(): Promise<void>;
  /** Called with what could not be recorded. Reading back five seconds later finds it again, and what was dropped because it was too much. */
  onFailure(err: unknown, name: string): void;
}

/** Writes down what one gateway reports over one connection, after it has read back what came before. */
export class Recorder {
  readonly #recording: Recording;
  readonly #tasks: TurnTasks;
  readonly #ending = new AbortController();
  readonly #unsubscribe: () => void;
  #again: NodeJS.Timeout | undefined;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.#tasks = new TurnTasks({
      atOnce: AT_ONCE,
      onFailure: (err, name) => this.#onFailure(err, name),
      onOverflow: () => this.#readBackLater(),
    });
    this.#unsubscribe = recording.gateway.follow((event) => recording.onEvent(event));
    this.#readBack();
  }

  /** Aborts when it is ended. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Whether it was ended, or its connection is gone. */
  isOver(): boolean {
    return this.#ending.signal.aborted || !this.#recording.gateway.isOpen();
  }

  /** Runs this once the work that was begun under the same name is done, unless the recorder has ended by then. */
  run(name: string, work: () => Promise<void>): void {
    this.#tasks.run(name, () => this.#unlessOver(work));
  }

  /** The same for work that sees all that happened until it begins, so that it waits once for each name. */
  runOnce(name: string, work: () => Promise<void>): void {
    this.#tasks.runOnce(name, () => this.#unlessOver(work));
  }

  /** Resolves when nothing of it is under way any more. */
  async end(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#again);
    this.#ending.abort();
    await this.#tasks.idle();
  }

  async #unlessOver(work: () => Promise<void>): Promise<void> {
    if (!this.isOver()) await work();
  }

  #readBack(): void {
    this.#again = undefined;
    this.runOnce(READ_BACK, () => this.#recording.readBack());
  }

  #readBackLater(): void {
    if (!this.isOver()) this.#again ??= setTimeout(() => this.#readBack(), AGAIN_MS);
  }

  #onFailure(err: unknown, name: string): void {
    if (this.isOver()) return;
    this.#recording.onFailure(err, name);
    this.#readBackLater();
  }
}
