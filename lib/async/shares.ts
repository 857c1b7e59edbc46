export interface ShareLimits {
  /** Of all owners together. */
  total: number;
  /** Of one owner. */
  each: number;
}

/** What one owner has taken. */
export interface Share {
  /** Keeps this amount of it, and gives the rest back. */
  shrinkTo(amount: number): void;
  /** Gives all of it back. A second time changes nothing. */
  giveBack(): void;
}

export interface Shares {
  /** Takes this amount for the owner; null when too little is left. */
  take(owner: string, amount: number): Share | null;
}

/** Shares out a limited amount in this process, such as bytes or places, with a limit for each owner. */
export function createShares({ total, each }: ShareLimits): Shares {
  const taken = new Map<string, number>();
  let takenInAll = 0;

  function add(owner: string, amount: number): void {
    takenInAll += amount;
    const sum = (taken.get(owner) ?? 0) + amount;
    if (sum === 0) taken.delete(owner);
    else taken.set(owner, sum);
  }

  return {
    take(owner, amount) {
      if (takenInAll + amount > total || (taken.get(owner) ?? 0) + amount > each) return null;
      let held = amount;
      add(owner, held);
      const shrinkTo = (kept: number) => {
        if (kept >= held) return;
        add(owner, kept - held);
        held = kept;
      };
      return { shrinkTo, giveBack: () => shrinkTo(0) };
    },
  };
}
