import type { Log } from '../../lib/log.ts';
import type { Target } from '../../lib/settings/models.ts';
import type { RelayStore } from '../store.ts';
import type { OpenCircuit } from './circuit.ts';

export interface TroubleNotes {
  /** Notes that a provider fails for a model, or, with null, that it answers again. Never throws; the newest word is written. */
  note(target: Target, open: OpenCircuit | null): void;
  /** Resolves when everything that was noted has been written, or could not be. */
  idle(): Promise<void>;
}

/** Tells the API through the database which models fail at which providers. One write at a time, at most one for each waits. */
export function createTroubleNotes(store: Pick<RelayStore, 'noteTrouble'>, log: Log): TroubleNotes {
  const waiting = new Map<string, { target: Target; open: OpenCircuit | null }>();
  let writing: Promise<void> | null = null;
  const writeAll = async (): Promise<void> => {
    for (const [id, { target, open }] of waiting) {
      waiting.delete(id);
      await store.noteTrouble(target, open).catch((err: unknown) => {
        log.warn({ err, ...target }, 'the state of a model could not be stored');
      });
    }
    writing = null;
  };
  return {
    note(target, open) {
      waiting.set(JSON.stringify([target.provider, target.upstream]), { target, open });
      writing ??= writeAll();
    },
    idle: async () => void (await writing),
  };
}
