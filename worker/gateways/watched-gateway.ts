import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayToWatch } from '../../database/instances/gateways-to-watch.ts';
import { aborted } from '../../lib/async/aborted.ts';
import type { Log } from '../../lib/log.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import { GatewayFloodError } from '../../runtime/gateway/gateway-errors.ts';
import { createSlownessMeter } from '../../runtime/slowness.ts';
import type { Slowness, SlownessDeps } from '../../runtime/slowness.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import type { TurnWatch } from '../../turns/watch-turns.ts';
import { Backoff } from '../../lib/async/backoff.ts';
import { Silence } from './silence.ts';
import type { ProbeAnswer } from './silence.ts';

/** A gateway, and the lease under which it is watched. */
export interface WatchedGateway extends GatewayToWatch {
  shardEpoch: number;
}

export interface FoundDeath {
  /** When the process ended; null when that is not known. */
  endedAt: Date | null;
  killFirst: boolean;
  /** Where it ran it was told to end, for no fault of its own. */
  isDisruption?: boolean;
}

/** The watch over one gateway process. */
export interface GatewayWatch {
  readonly gateway: WatchedGateway;
  /** Whether a connection to exactly this process is open. */
  isConnected(): boolean;
  /** It watches no more: it was stopped, or its gateway was found dead. */
  isOver(): boolean;
  /** It has not answered for half a minute, and is given more time because it is busy or the machine is starved. */
  isSlow(): boolean;
  /** What explains that a probe was not answered; null when nothing does. Never rejects. */
  readSlowness(): Promise<Slowness | null>;
  /** Takes in how one probe went. Too many in a row without an answer are a death. */
  countProbe(answer: ProbeAnswer): void;
  /** It answered a probe that it is not ready, and what is failing. */
  noteUnready(failing: readonly string[]): void;
  /** Resolves when nothing of it is under way any more. */
  stop(): Promise<void>;
}

interface Deps extends SlownessDeps {
  driver: Pick<RuntimeDriver, 'inspect' | 'exitOf' | 'activityOf'>;
  connections: GatewayConnections;
  turnWatch: TurnWatch;
  /** Writes the death down. It is for the writer to see whether it still may. */
  onDeath: (gateway: WatchedGateway, death: FoundDeath) => Promise<void>;
  /** From 0 to 1, for pauses that differ from those of other watches. */
  random: () => number;
  log: Log;
}

const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A process that was killed is gone some milliseconds after its sockets: so often we look in the first second. */
const FIRST_LOOKS_MS = 50;
const LATER_LOOKS_MS = 1_000;

/** Stays connected to one gateway process, and reports its death within a second of the end of its connection. */
export function watchGateway(gateway: WatchedGateway, deps: Deps): GatewayWatch {
  const [{ turnWatch, log }, { instanceId, bootId }] = [deps, gateway];
  const over = new AbortController();
  const [silence, slowness] = [new Silence(), createSlownessMeter(deps, gateway.runtimeId)];
  let connected: Gateway | null = null;
  let isSlow = false;

  function stop(): Promise<void> {
    over.abort();
    connected = null;
    return turnWatch.detach();
  }

  async function report(death: FoundDeath): Promise<void> {
    void stop();
    log.warn({ instanceId, bootId, ...death }, 'the process of a watched gateway has exited');
    // Not written down: the watch that begins anew finds it again.
    await deps
      .onDeath(gateway, death)
      .catch((err: unknown) => log.warn({ err, instanceId }, 'the death of a gateway could not be recorded'));
  }

  async function follow(): Promise<void> {
    const pauses = new Backoff({ firstMs: 2 * SHORTEST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS });
    while (!over.signal.aborted) {
      const client = await findProcess(gateway, deps, over.signal);
      if (over.signal.aborted) return;
      if (client === 'replaced') return report({ endedAt: null, killFirst: false });
      if (client) {
        pauses.reset();
        connected = client;
        turnWatch.attach(client);
        await Promise.race([client.closed, aborted(over.signal)]);
        connected = null;
        if (client.flood) turnWatch.noteFlood(bootId);
      }
      const pauseMs = SHORTEST_PAUSE_MS + deps.random() * (pauses.nextMs() - SHORTEST_PAUSE_MS);
      const death = await deathWithin(pauseMs, gateway, deps, over.signal);
      if (death && !over.signal.aborted) return report(death);
    }
  }

  function saySlow(isNow: boolean, answer: ProbeAnswer): void {
    if (isNow === isSlow) return;
    isSlow = isNow;
    if (isNow) log.warn({ instanceId, bootId, because: answer }, 'a gateway is slow: it does not respond and gets more time');
    else log.info({ instanceId, bootId }, 'a slow gateway responds again');
  }

  follow().catch((err: unknown) => {
    if (!over.signal.aborted) log.warn({ err, instanceId }, 'watching a gateway failed; starting again');
    void stop();
  });

  return {
    gateway,
    isConnected: () => connected?.isOpen() ?? false,
    isOver: () => over.signal.aborted,
    isSlow: () => isSlow && !over.signal.aborted,
    readSlowness: () => slowness.read(),
    countProbe(answer) {
      if (over.signal.aborted) return;
      const verdict = silence.count(answer);
      if (verdict === 'dead') void report({ endedAt: null, killFirst: true });
      else saySlow(verdict === 'slow', answer);
    },
    noteUnready: (failing) => turnWatch.noteUnready(bootId, failing),
    stop,
  };
}

/** The connection to the process that is watched; null when there is none now, `replaced` when another process answers. */
async function findProcess(
  { runtimeId, bootId }: WatchedGateway,
  { connections, turnWatch, log }: Deps,
  signal: AbortSignal,
): Promise<Gateway | 'replaced' | null> {
  try {
    const client = await connections.get(runtimeId, signal);
    if (client.bootId === bootId) return client;
    // A connection that was there already may be one to an earlier process, whose end we have not heard yet.
    connections.close(runtimeId);
    const fresh = await connections.get(runtimeId, signal);
    return fresh.bootId === bootId ? fresh : 'replaced';
  } catch (err) {
    if (signal.aborted) return null;
    if (err instanceof GatewayFloodError) turnWatch.noteFlood(bootId);
    log.info({ err, runtimeId }, 'could not connect to a watched gateway; trying again');
    return null;
  }
}

/** Looks for the end of the process for as long as this; null when it still runs then. */
async function deathWithin(
  pauseMs: number,
  { runtimeId }: WatchedGateway,
  { driver, log }: Deps,
  signal: AbortSignal,
): Promise<FoundDeath | null> {
  for (let waitedMs = 0; !signal.aborted;) {
    try {
      const { status } = await driver.inspect(runtimeId);
      if (status !== 'running') {
        const exit = await driver.exitOf(runtimeId);
        return { endedAt: exit?.at ?? null, killFirst: false, isDisruption: exit?.isDisruption ?? false };
      }
    } catch (err) {
      log.debug({ err, runtimeId }, 'the state of a runtime could not be read');
    }
    if (waitedMs >= pauseMs) return null;
    const stepMs = waitedMs < SHORTEST_PAUSE_MS ? FIRST_LOOKS_MS : LATER_LOOKS_MS;
    waitedMs += stepMs;
    await sleep(stepMs, undefined, { signal }).catch(() => undefined);
  }
  return null;
}
