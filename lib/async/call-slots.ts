/** The owner's calls that wait for a slot are too many, or one has waited for too long. */
export class NoSlotError extends Error {}

export interface CallSlotLimits {
  /** Calls of one owner that run at the same time. */
  atOnce: number;
  /** Calls of one owner that wait for another one to end. */
  waiting: number;
  patienceMs: number;
}

export interface CallSlots {
  /** Does the work as soon as the owner has a slot, in the order of the calls. Throws NoSlotError instead of beginning it. */
  run<T>(owner: string, work: () => Promise<T>): Promise<T>;
}

interface Owner {
  running: number;
  waiting: Set<() => void>;
}

/** Limits how many calls of each owner run at once. Some more wait for a moment, so that a short burst is not refused. */
export function createCallSlots({ atOnce, waiting, patienceMs }: CallSlotLimits): CallSlots {
  const owners = new Map<string, Owner>();

  /** Resolves with a slot: that of a call that has ended is handed over. */
  function slotOf(owner: Owner): Promise<void> | undefined {
    if (owner.running < atOnce) {
      owner.running += 1;
      return undefined;
    }
    if (owner.waiting.size >= waiting) throw new NoSlotError('too many calls wait');
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        owner.waiting.delete(begin);
        reject(new NoSlotError('no call has ended in time'));
      }, patienceMs);
      owner.waiting.add(begin);
    });
  }

  function giveBack(name: string, owner: Owner): void {
    const [next] = owner.waiting;
    if (next) {
      owner.waiting.delete(next);
      next();
      return;
    }
    owner.running -= 1;
    if (owner.running === 0) owners.delete(name);
  }

  return {
    async run(name, work) {
      const owner = owners.get(name) ?? { running: 0, waiting: new Set() };
      owners.set(name, owner);
      await slotOf(owner);
      try {
        return await work();
      } finally {
        giveBack(name, owner);
      }
    },
  };
}
