/** npm passes Ctrl-C on to a program that got it from the terminal already: what comes this soon is the same one. */
const SAME_REQUEST_MS = 1_000;

export interface StopRequest {
  /** Aborted at the first Ctrl-C, SIGTERM or closing of the terminal. */
  stop: AbortSignal;
  /** Aborted at the second: what still runs is to be killed. */
  hurry: AbortSignal;
}

interface Signals {
  on(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void): unknown;
}

/** Listens for requests to stop, from now on, and says what each leads to. */
export function listenForStop(signals: Signals, { say, now }: { say(sentence: string): void; now(): number }): StopRequest {
  const stop = new AbortController();
  const hurry = new AbortController();
  let firstAt = 0;
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstAt = now();
      say('Stopping: gateways get up to 30 s to finish their work. Press Ctrl-C again to stop at once.');
      stop.abort();
      return;
    }
    if (hurry.signal.aborted || now() - firstAt < SAME_REQUEST_MS) return;
    say('Stopping at once: the remaining processes are killed. Gateways may keep running; the next npm start takes them over.');
    hurry.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) signals.on(signal, onSignal);
  return { stop: stop.signal, hurry: hurry.signal };
}
