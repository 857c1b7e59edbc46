import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ordersFile, readJournal, readOrders } from './faults.ts';
import type { Deed, Fault, Happening, Orders } from './faults.ts';

/** What is started instead of OpenClaw. */
export const SCRIPTED_GATEWAY = fileURLToPath(new URL('main.ts', import.meta.url));

/** Tells the scripted gateways of one runtime what to do wrong, also before the first one is started. */
export interface ScriptedControl {
  /** From now on, until it is told otherwise. Without `survivesRestart` only the process that runs now does it. */
  misbehave(deed: Deed, how?: Partial<Omit<Fault, 'id' | 'deed'>>): void;
  /** Nothing is done wrong any more. */
  behave(): void;
  /** Lets every answer that is held under this name go on. */
  release(name: string): void;
  /** What its gateways have done so far. */
  journal(): Happening[];
}

export function controlScripted(stateDir: string): ScriptedControl {
  const change = (next: (before: Orders) => Orders): void => {
    const file = ordersFile(stateDir);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.new`, JSON.stringify(next(readOrders(stateDir))));
    renameSync(`${file}.new`, file);
  };
  return {
    misbehave(deed, how = {}) {
      const fault = { id: randomUUID(), deed, survivesRestart: false, ...how };
      change(({ faults, released }) => ({ faults: [...faults, fault], released }));
    },
    behave: () => change(({ released }) => ({ faults: [], released })),
    release: (name) => change(({ faults, released }) => ({ faults, released: [...released, name] })),
    journal: () => readJournal(stateDir),
  };
}

/** How often this turn was answered, under whichever of its keys. */
export function countAnswers(control: ScriptedControl, messageId: string): number {
  return control.journal().filter(({ what, runId }) => what === 'answered' && runId?.replace(/~\d+$/, '') === messageId).length;
}
