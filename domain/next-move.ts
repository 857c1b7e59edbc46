import type { Happening, Lifecycle } from './happenings.ts';
import { NO_GATEWAY } from './next-sleep.ts';

const OF_MOVE = ['move-asked', 'vacated', 'moved', 'move-given-up'] as const;
type OfMove = Extract<Happening, { kind: (typeof OF_MOVE)[number] }>;

/** It moves nowhere. */
const NO_MOVE = { moveNode: null, moveRuntimeId: null, transitionStep: null } as const satisfies Partial<Lifecycle>;

export function isOfMove(happening: Happening): happening is OfMove {
  return OF_MOVE.some((kind) => kind === happening.kind);
}

/** What happens to an instance that moves to another node. Its status stays: a move is a restart elsewhere. */
export function moveChanged(row: Lifecycle, happening: OfMove): Partial<Lifecycle> {
  switch (happening.kind) {
    case 'move-asked':
      return row.desiredStatus === 'destroyed' ? {} : { moveNode: happening.nodeId, moveRuntimeId: happening.runtimeId };
    case 'vacated':
      return { ...NO_GATEWAY, startNotBefore: row.startNotBefore };
    case 'moved':
    case 'move-given-up':
      return NO_MOVE;
  }
}
