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
  const ended = createLastEnds(monotonicMs);
  const paused = createPaused();

  function hasRoom({ name, running }: Owner): boolean {
    if (running < Math.min(atOnce, shared)) return true;
    return running < atOnce && owners.size === 1 && ended.msSinceOther(name) > LINGER_MS;
  }

  const ownerOf = (name: string): Owner => kept(owners, name);

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
    ended.note(owner.name);
    fill(owner);
  }

  async function begin(owner: Owner): Promise<void> {
    if (owner.waiting.size > 0 || !hasRoom(owner))
      return waitIn(owner.waiting, { waiting: waiting - paused.of(owner.name), patienceMs });
    owner.running += 1;
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
    const owner = ownerOf(name);
    await begin(owner);
    return slotOf(owner, { giveBack, goOn, notePaused: paused.note });
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

interface Slots {
  giveBack(owner: Owner): void;
  goOn(name: string): Promise<Owner>;
  notePaused(name: string, change: 1 | -1): void;
}

/** A slot that the owner has. */
function slotOf(owner: Owner, { giveBack, goOn, notePaused }: Slots): CallSlot {
  let held: Owner | null = owner;
  const leave = () => {
    if (held) giveBack(held);
    held = null;
  };
  return {
    leave,
    async pause(wait) {
      if (!held) return wait();
      notePaused(owner.name, 1);
      leave();
      try {
        return await wait();
      } finally {
        held = await goOn(owner.name);
        notePaused(owner.name, -1);
      }
    },
  };
}

/** Resolves when it is let out of the queue. Rejects with NoSlotError when too many are in it, or none is let out in time. */
function waitIn(queue: Set<() => void>, { waiting, patienceMs }: Pick<CallSlotLimits, 'waiting' | 'patienceMs'>): Promise<void> {
  if (queue.size >= waiting) throw new NoSlotError('too many calls wait');
  return new Promise((resolve, reject) => {
    const start = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      queue.delete(start);
      reject(new NoSlotError('no call has ended in time'));
    }, patienceMs);
    queue.add(start);
  });
}

function kept(owners: Map<string, Owner>, name: string): Owner {
  const owner = owners.get(name) ?? { name, running: 0, returning: new Set(), waiting: new Set() };
  owners.set(name, owner);
  return owner;
}

/** Counts the calls of each owner that have begun and wait for something, or to go on. */
function createPaused() {
  const counts = new Map<string, number>();
  return {
    of: (name: string): number => counts.get(name) ?? 0,
    note(name: string, change: 1 | -1): void {
      const count = (counts.get(name) ?? 0) + change;
      if (count === 0) counts.delete(name);
      else counts.set(name, count);
    },
  };
}

/** Remembers whose calls have ended last: those of two owners, so that there is another one for each. */
function createLastEnds(monotonicMs: () => number) {
  let [last, lastOther] = [
    { name: '', atMs: -Infinity },
    { name: '', atMs: -Infinity },
  ];
  return {
    note(name: string): void {
      if (last.name !== name) lastOther = last;
      last = { name, atMs: monotonicMs() };
    },
    msSinceOther: (name: string): number => monotonicMs() - (last.name === name ? lastOther : last).atMs,
  };
}
