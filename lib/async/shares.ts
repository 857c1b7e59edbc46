export interface ShareLimits {
  /** Of all owners together. */
  total: number;
  /** Of one owner. */
  each: number;
}

/** What one owner has taken. */
export interface Share {
  /** Keeps so much of it, and gives the rest back. */
  shrinkTo(amount: number): void;
  /** Gives all of it back. A second time changes nothing. */
  giveBack(): void;
}

export interface Shares {
  /** Takes so much for this owner; null when too little is left. */
  take(owner: string, amount: number): Share | null;
}

/** Something of which this process has so much, and each owner at most a share: bytes, places. */
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
