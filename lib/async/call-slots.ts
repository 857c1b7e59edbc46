/** The owner's calls that wait for a slot are too many, or one has waited for too long. */
export class NoSlotError extends Error {}

export interface CallSlotLimits {
  /** Calls of one owner that run at the same time. */
  atOnce: number;
  /** The same while another owner has calls too, or had some a second ago; by default as many. */
  shared?: number;
  /** Calls of one owner that wait for another one to end. */
  waiting: number;
  patienceMs: number;
}

export interface CallSlots {
  /** Takes a slot for the owner, in the order of the calls. Rejects with NoSlotError. */
  enter(owner: string): Promise<CallSlot>;
  /** Does the work in a slot of the owner. Throws NoSlotError instead of beginning it. */
  run<T>(owner: string, work: () => Promise<T>): Promise<T>;
}

/** What a call holds while it works. */
export interface CallSlot {
  /** Gives the slot to others while the call waits for something, and goes on before those that have not begun. */
  pause<T>(wait: () => Promise<T>): Promise<T>;
  /** Gives the slot back. A second time changes nothing. */
  leave(): void;
}

interface Owner {
  name: string;
  running: number;
  /** Calls that were at work and want to go on. */
  returning: Set<() => void>;
  waiting: Set<() => void>;
}

/** So long after its last call an owner still counts as one that has calls. */
const LINGER_MS = 1_000;

/**
 * Limits how many calls of each owner run at once, to fewer while it is not the only one. Some more wait for a moment, so that a
 * short burst is not refused.
 */
export function createCallSlots(
  { atOnce, shared = atOnce, waiting, patienceMs }: CallSlotLimits,
  monotonicMs: () => number = () => performance.now(),
): CallSlots {
  const owners = new Map<string, Owner>();
  /** The two owners whose calls have ended last. */
  let [last, lastOther] = [
    { name: '', atMs: -Infinity },
    { name: '', atMs: -Infinity },
  ];

  function noteEnd(name: string): void {
    if (last.name !== name) lastOther = last;
    last = { name, atMs: monotonicMs() };
  }

  function hasRoom(owner: Owner): boolean {
    if (owner.running < Math.min(atOnce, shared)) return true;
    if (owner.running >= atOnce || owners.size > 1) return false;
    const other = last.name === owner.name ? lastOther : last;
    return other.atMs + LINGER_MS < monotonicMs();
  }

  function ownerOf(name: string): Owner {
    const owner = owners.get(name) ?? { name, running: 0, returning: new Set(), waiting: new Set() };
    owners.set(name, owner);
    return owner;
  }

  /** Lets calls begin for which there is room. */
  function fill(owner: Owner): void {
    while (hasRoom(owner)) {
      const queue = owner.returning.size > 0 ? owner.returning : owner.waiting;
      const [next] = queue;
      if (!next) break;
      queue.delete(next);
      owner.running += 1;
      next();
    }
    if (owner.running === 0) owners.delete(owner.name);
  }

  function giveBack(owner: Owner): void {
    owner.running -= 1;
    noteEnd(owner.name);
    fill(owner);
  }

  /** Undefined where there is room at once. */
  function begin(owner: Owner): Promise<void> | undefined {
    if (owner.waiting.size === 0 && hasRoom(owner)) {
      owner.running += 1;
      return undefined;
    }
    if (owner.waiting.size >= waiting) throw new NoSlotError('too many calls wait');
    return new Promise((resolve, reject) => {
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        owner.waiting.delete(start);
        reject(new NoSlotError('no call has ended in time'));
      }, patienceMs);
      owner.waiting.add(start);
    });
  }

  /** Waits for a slot again, however many wait: a call that has begun is not refused any more. */
  async function goOn(name: string): Promise<Owner> {
    const owner = ownerOf(name);
    await new Promise<void>((resolve) => {
      owner.returning.add(resolve);
      fill(owner);
    });
    return owner;
  }

  async function enter(name: string): Promise<CallSlot> {
    let held: Owner | null = ownerOf(name);
    await begin(held);
    const leave = () => {
      if (held) giveBack(held);
      held = null;
    };
    return {
      leave,
      async pause(wait) {
        if (!held) return wait();
        leave();
        try {
          return await wait();
        } finally {
          held = await goOn(name);
        }
      },
    };
  }

  return {
    enter,
    async run(name, work) {
      const slot = await enter(name);
      try {
        return await work();
      } finally {
        slot.leave();
      }
    },
  };
}
