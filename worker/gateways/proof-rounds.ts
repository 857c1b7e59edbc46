import type { MikroORM } from '@mikro-orm/postgresql';
import { databaseNow, proveAlive } from '../../database/processes/prove-alive.ts';
import type { LifeSign } from '../../database/processes/prove-alive.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { answersProbe } from './probe-gateway.ts';
import type { HeldShards, ShardLeases } from './shard-leases.ts';
import type { ProbeAnswer } from './silence.ts';
import type { GatewayWatch } from './watched-gateway.ts';

/** How gateways are probed. */
export interface ProbePace {
  everyMs: number;
  /** What one probe gets; within the pause between two rounds, so that silence is counted alike however many gateways hang. */
  probeMs: number;
}

/** Ten rounds take half a minute. */
export const PROBE_PACE: ProbePace = { everyMs: 3_000, probeMs: 2_500 };

interface Deps {
  orm: MikroORM;
  driver: Pick<RuntimeDriver, 'endpoint'>;
  leases: Pick<ShardLeases, 'held'>;
  watches: () => GatewayWatch[];
  monotonicMs: () => number;
  pace?: ProbePace;
}

const CONCURRENCY = 256;
/** A probe that took this much longer than its limit shows that this process was paused or starved, not that the gateway is silent. */
const LATE_MS = 1_000;

/** What the last round wrote of a gateway process: whether its interval is marked as lost. */
interface Written {
  instanceId: string;
  bootId: string;
  shard: number;
  epoch: number;
  answered: boolean;
}

/**
 * Rounds of pings. Each proves, for every shard that is held, that its gateways ran until the round was sent, all but
 * those that did not answer on a connection to the very process.
 */
export function createProofRounds(deps: Deps) {
  const { orm, leases, watches } = deps;
  /** By instance and process, so that a round writes only what has changed. */
  let written = new Map<string, Written>();
  /** The epochs of the shards for which this holder has written a round. */
  let begun = new Map<number, number>();

  async function run(): Promise<void> {
    const held = leases.held();
    if (!held) return;
    const sentAt = await databaseNow(orm.em.fork());
    const probed = watches().filter((watch) => held.epochs.get(watch.gateway.shard) === watch.gateway.shardEpoch);
    const answers = await probeAll(probed, deps);
    // Answers count only while the leases are the same as when the probes were sent.
    if (!isSameLease(held, leases.held())) return;
    const round = new Map(answers.map(({ watch, proves }) => entryOf(watch, proves)));
    const changes = [...changedBy(round, written), ...droppedFrom(round, written, held)];
    const leased = [...held.epochs].map(([shard, epoch]) => ({ shard, epoch, isFirst: begun.get(shard) !== epoch }));
    const proven = await proveAlive(orm.em.fork(), { owner: held.owner, leases: leased, sentAt, changes });
    begun = new Map(leased.filter(({ shard }) => proven.includes(shard)).map(({ shard, epoch }) => [shard, epoch]));
    written = new Map([...round].filter(([, { shard }]) => proven.includes(shard)));
    for (const { watch, answer } of answers) if (answer !== null) watch.countProbe(answer);
  }

  return { run };
}

interface Answer {
  watch: GatewayWatch;
  /** The result of the probe; null when none was sent, because the driver did not know the address. */
  answer: ProbeAnswer | null;
  /** The answer certainly came from the watched process. */
  proves: boolean;
}

async function probeAll(probed: GatewayWatch[], deps: Deps): Promise<Answer[]> {
  const answers: Answer[] = [];
  const queue = probed.values();
  const workOff = async (): Promise<void> => {
    for (const watch of queue) answers.push(await probe(watch, deps));
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, probed.length) }, workOff));
  return answers;
}

async function probe(watch: GatewayWatch, { driver, monotonicMs, pace: { probeMs } = PROBE_PACE }: Deps): Promise<Answer> {
  const begunAt = monotonicMs();
  const wasConnected = watch.isConnected();
  const endpoint = await driver.endpoint(watch.gateway.runtimeId).catch(() => 'unknown' as const);
  if (endpoint === 'unknown') return { watch, answer: null, proves: false };
  const isAnswered = endpoint !== null && (await answersProbe(endpoint, probeMs, watch.noteUnready));
  if (isAnswered) return { watch, answer: 'answered', proves: wasConnected && watch.isConnected() };
  const isLate = monotonicMs() - begunAt > probeMs + LATE_MS;
  // Read in any case, so that the next reading begins here.
  const slowness = await watch.readSlowness();
  const explained = isLate ? 'starved' : slowness;
  // Load cannot explain that the gateway has no address.
  return { watch, answer: endpoint === null ? 'silent' : (explained ?? 'silent'), proves: false };
}

function entryOf({ gateway }: GatewayWatch, answered: boolean): [string, Written] {
  const { instanceId, bootId, shard, shardEpoch } = gateway;
  return [`${instanceId} ${bootId}`, { instanceId, bootId, shard, epoch: shardEpoch, answered }];
}

/** Gateways whose result in this round differs from what this holder wrote last. */
function changedBy(round: Map<string, Written>, written: Map<string, Written>): LifeSign[] {
  const changed = [...round].filter(([key, { answered, epoch }]) => {
    const before = written.get(key);
    return before?.answered !== answered || before.epoch !== epoch;
  });
  return changed.map(([, entry]) => entry);
}

/** Gateways that answered in the round before and are not watched any more: nothing proves that they ran since. */
function droppedFrom(round: Map<string, Written>, written: Map<string, Written>, { epochs }: HeldShards): LifeSign[] {
  const dropped = [...written].filter(
    ([key, { shard, epoch, answered }]) => answered && !round.has(key) && epochs.get(shard) === epoch,
  );
  return dropped.map(([, entry]) => ({ ...entry, answered: false }));
}

function isSameLease(one: HeldShards, other: HeldShards | null): boolean {
  return (
    other !== null && one.owner === other.owner && [...one.epochs].every(([shard, epoch]) => other.epochs.get(shard) === epoch)
  );
}
