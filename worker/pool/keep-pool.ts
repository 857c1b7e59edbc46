import { setTimeout as sleep } from 'node:timers/promises';
import { findPoolRoom } from '../../database/pool/add-member.ts';
import { findMembers, markReady, takeAside } from '../../database/pool/members.ts';
import type { Member } from '../../database/pool/members.ts';
import { findSpares } from '../../database/pool/spare-agents.ts';
import { liveWorkers } from '../../database/processes/shard-leases.ts';
import { poolRecipe } from '../../activities/pool/pool-recipe.ts';
import type { PoolOfNode } from '../../activities/steps/step-deps.ts';
import { gatewayMemoryMb } from '../../lib/settings/max-running.ts';
import { endMember } from './end-member.ts';
import type { PoolDeps } from './pool-deps.ts';
import { startMember } from './start-member.ts';
import { warmUp } from './warm-up.ts';

export interface Pool extends PoolOfNode {
  /** Ends what is under way. Members stay, for the next worker of this node. */
  stop(): Promise<void>;
  /** Ends all members of this node too. What cannot be ended now is ended by the next worker of this node. */
  empty(): Promise<void>;
}

interface Options extends PoolDeps {
  /** The id of this worker process; null while it may own nothing. */
  processId: () => string | null;
  onStart: (start: { isClaimed: boolean }) => void;
  /** How often it looks. */
  lookMs?: number;
  /** How long after the first start of an instance no gateway is started for the pool; by default REST_MS. */
  restMs?: number;
}

const LOOK_MS = 1_000;
/** Where no gateway is wanted, for what was started when some were. */
const IDLE_LOOK_MS = 60_000;
/** Older gateways have more memory in use. */
const OLDEST_MS = 6 * 60 * 60_000;
/** A gateway ends its workers after a minute of silence, and the next turn waits for new ones. */
const WARM_MS = 45_000;
/** A customer who has made an instance makes agents and sends messages next; a start would take their CPU. */
const REST_MS = 15_000;
const WARMING_MS = 10_000;
const ENDING_MS = 30_000;
/** After a start that failed; doubled by each further one. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 10 * 60_000;
/** What has to be free beside a gateway that is started. */
const FREE_MB = 1_024;

/** Keeps gateways ready on this node that new instances can take: one worker of the node does, one gateway at a time. */
export function keepPool(options: Options): Pool {
  const { log, onStart, config, monotonicMs, lookMs = config.POOL_SIZE > 0 ? LOOK_MS : IDLE_LOOK_MS } = options;
  const over = new AbortController();
  let startedAt = Number.NEGATIVE_INFINITY;
  const looks = createLooks(options, { signal: over.signal, lastStartMs: () => startedAt });

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      await looks.look().catch((err: unknown) => {
        if (!over.signal.aborted) log.warn({ err }, 'the pool of gateways could not be kept');
      });
      await sleep(lookMs, undefined, { signal: over.signal }).catch(() => undefined);
    }
  }
  const running = run();

  async function stop(): Promise<void> {
    over.abort();
    await running;
  }
  return {
    onStart(start) {
      startedAt = monotonicMs();
      onStart(start);
    },
    stop,
    async empty() {
      await stop();
      await endAll(options).catch((err: unknown) => log.warn({ err }, 'the pool of gateways could not be ended'));
    },
  };
}

interface Looks {
  signal: AbortSignal;
  /** When an instance was started for the first time here, as `monotonicMs` says it. */
  lastStartMs: () => number;
}

function createLooks(options: Options, { signal, lastStartMs }: Looks) {
  const { orm, nodeId, config, monotonicMs, restMs = REST_MS, log } = options;
  /** When the spare agents of a member took their last turn. */
  const warmedAt = new Map<string, number>();
  let pauseMs = FIRST_PAUSE_MS;
  let notBefore = 0;

  async function look(): Promise<void> {
    if (!(await isKeeper(options))) return;
    const recipe = await poolRecipe(options);
    const members = await findMembers(orm.em.fork(), nodeId);
    for (const id of warmedAt.keys()) if (!members.some(({ runtimeId }) => runtimeId === id)) warmedAt.delete(id);
    const room = await findPoolRoom(orm.em.fork(), { nodeId, size: config.POOL_SIZE });
    const kept: Member[] = [];
    for (const member of members) {
      const because = (await reasonToEnd(options, member, recipe)) ?? (kept.length >= room.toKeep ? 'no room' : null);
      if (because === null) kept.push(member);
      else await endMember(options, member, { because, signal: ending(signal) });
    }
    for (const member of kept) await keepWarm(member);
    if (kept.length < room.toStart && mayStart()) await fill(recipe);
  }

  function mayStart(): boolean {
    const { load, startPace, freeBytes } = options;
    if (load.isStarved() || startPace.state() !== 'idle' || monotonicMs() < Math.max(notBefore, lastStartMs() + restMs))
      return false;
    // The memory of this machine is not what a Pod takes: the cluster says when it has no room.
    return config.RUNTIME === 'kubernetes' || freeBytes() >= (gatewayMemoryMb(config) + FREE_MB) * 1024 ** 2;
  }

  async function fill(recipe: string): Promise<void> {
    try {
      await startMember(options, recipe, signal);
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      notBefore = monotonicMs() + pauseMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      throw error;
    }
  }

  async function keepWarm(member: Member): Promise<void> {
    const { runtimeId } = member;
    const last = warmedAt.get(runtimeId);
    if (last === undefined) warmedAt.set(runtimeId, monotonicMs());
    if (last === undefined || monotonicMs() - last < WARM_MS) return;
    if (!(await takeAside(orm.em.fork(), member))) return;
    try {
      await warmAgain(member);
      warmedAt.set(runtimeId, monotonicMs());
      await markReady(orm.em.fork(), member);
    } catch (err) {
      log.warn({ err, runtimeId }, 'a gateway of the pool takes no turns');
      await endMember(options, { ...member, state: 'warming' }, { because: 'it takes no turns', signal: ending(signal) });
    }
  }

  async function warmAgain({ runtimeId }: Member): Promise<void> {
    const { connections, clock, makeId } = options;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(WARMING_MS)]);
    const gateway = await connections.get(runtimeId, patience);
    // One turn keeps warm what all agents share, and what is held ready for the agent that is taken first.
    const [first] = await findSpares(orm.em.fork(), runtimeId);
    if (first) await warmUp({ gateway, spare: first, makeId, now: clock(), signal: patience });
  }

  return { look };
}

async function endAll(options: Options): Promise<void> {
  for (const member of await findMembers(options.orm.em.fork(), options.nodeId))
    await endMember(options, member, { because: 'the machine stops', signal: AbortSignal.timeout(ENDING_MS) });
}

/** What is begun is done also when this worker ends. */
function ending(signal: AbortSignal): AbortSignal {
  return signal.aborted ? AbortSignal.timeout(ENDING_MS) : AbortSignal.timeout(2 * ENDING_MS);
}

/** Of the workers of a node, the one with the lowest id keeps its pool. Two at once only take members from each other. */
async function isKeeper({ orm, nodeId, processId }: Options): Promise<boolean> {
  const [first] = await liveWorkers(orm.em.fork(), nodeId);
  return first !== undefined && first === processId();
}

/** Null: it stays. */
async function reasonToEnd({ driver, clock }: Options, member: Member, recipe: string): Promise<string | null> {
  // One start or warm-up at a time: what is under way now is another worker's, which has ended.
  if (member.state !== 'ready') return 'it was left half-way';
  if (member.recipe !== recipe) return 'another one would be started now';
  if (clock().getTime() - member.createdAtMs > OLDEST_MS) return 'it is old';
  return (await driver.inspect(member.runtimeId)).status === 'running' ? null : 'its gateway has ended';
}
