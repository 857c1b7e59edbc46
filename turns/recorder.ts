import type { GatewayClient, GatewayEvent } from '../runtime/openclaw/gateway-client.ts';
import { TurnTasks } from './turn-tasks.ts';

const READ_BACK = 'read back';
const AGAIN_MS = 5_000;

interface Recording {
  client: GatewayClient;
  onEvent(event: GatewayEvent): void;
  /** Writes down what was missed. Harmless to repeat. */
  readBack(): Promise<void>;
  /** Told of what could not be written down. It is found by reading back again, five seconds later. */
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
    this.#tasks = new TurnTasks((err, name) => this.#onFailure(err, name));
    this.#unsubscribe = recording.client.onEvent((event) => recording.onEvent(event));
    this.#readBack();
  }

  /** Aborts when it is ended. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Whether it was ended, or its connection is gone. */
  isOver(): boolean {
    return this.#ending.signal.aborted || !this.#recording.client.isOpen();
  }

  /** Does this after what was begun under the same name, unless it is over by then. */
  run(name: string, work: () => Promise<void>): void {
    this.#tasks.run(name, async () => {
      if (!this.isOver()) await work();
    });
  }

  /** Resolves when nothing of it is under way any more. */
  async end(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#again);
    this.#ending.abort();
    await this.#tasks.idle();
  }

  #readBack(): void {
    this.run(READ_BACK, () => this.#recording.readBack());
  }

  #onFailure(err: unknown, name: string): void {
    if (this.isOver()) return;
    this.#recording.onFailure(err, name);
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#readBack(), AGAIN_MS);
  }
}
