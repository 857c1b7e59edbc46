import { constants } from 'node:os';
import { z } from 'zod';
import type { Endpoint, RuntimeActivity, RuntimeExit, RuntimeState } from '../driver.ts';
import type { Engine } from './engine.ts';
import { RUNTIME_LABEL } from './names.ts';
import { GATEWAY_PORT } from './in-container.ts';

const engineTime = z.string().transform((text) => {
  const time = new Date(text);
  // The engine's word for never.
  return time.getTime() > 0 ? time : null;
});

const binding = z.object({ HostIp: z.string(), HostPort: z.string() });

const containerSchema = z.looseObject({
  Id: z.string().min(1),
  Image: z.string(),
  Config: z.looseObject({ User: z.string(), Labels: z.record(z.string(), z.string()).nullish() }),
  State: z.looseObject({
    Status: z.string(),
    Running: z.boolean(),
    Paused: z.boolean().default(false),
    Pid: z.number().int(),
    ExitCode: z.number().int(),
    OOMKilled: z.boolean(),
    StartedAt: engineTime,
    FinishedAt: engineTime,
  }),
  NetworkSettings: z.looseObject({ Ports: z.record(z.string(), z.array(binding).nullable()).nullish() }),
});

export type Container = z.infer<typeof containerSchema>;

export function parseContainer(answer: unknown): Container {
  return containerSchema.parse(answer);
}

/** `isSuspended`: this driver has paused exactly this container. One that an operator has paused counts as running. */
export function stateOf(runtimeId: string, { State }: Container, { isSuspended }: { isSuspended: boolean }): RuntimeState {
  const status = isSuspended ? 'suspended' : 'running';
  return { runtimeId, status: State.Running ? status : 'exited', startedAt: State.StartedAt };
}

const NANOSECONDS_PER_MS = 1_000_000;
const statsSchema = z.looseObject({ cpu_stats: z.looseObject({ cpu_usage: z.looseObject({ total_usage: z.number() }) }) });

/** What a container does; null when it does not run. */
export async function readActivity(engine: Engine, container: Container): Promise<RuntimeActivity | null> {
  if (!container.State.Running) return null;
  // Without one-shot the engine takes a second to compare two readings.
  const stats = await engine.find(`/containers/${container.Id}/stats`, { query: { stream: '0', 'one-shot': '1' } });
  return stats === null ? null : activityOfContainer(container, stats);
}

/** All its processes together, by the engine's statistics of it. */
export function activityOfContainer({ State }: Container, stats: unknown): RuntimeActivity {
  const { cpu_stats: cpu } = statsSchema.parse(stats);
  return { cpuMs: cpu.cpu_usage.total_usage / NANOSECONDS_PER_MS, isFrozen: State.Paused };
}

/** The runtime that a container, volume or network of ours belongs to. */
export function runtimeOf(labels: Readonly<Record<string, string>> | null | undefined): string | null {
  return labels?.[RUNTIME_LABEL] ?? null;
}

/** Null when it does not run, or its port is not published (any more). */
export function endpointOf({ State, NetworkSettings }: Container): Endpoint | null {
  const [published] = NetworkSettings.Ports?.[`${GATEWAY_PORT}/tcp`] ?? [];
  if (!State.Running || !published) return null;
  const authority = `${published.HostIp}:${published.HostPort}`;
  return { httpUrl: `http://${authority}`, wsUrl: `ws://${authority}`, peer: 'remote' };
}

/** The engine writes this when a container was gone at its own start, so that neither code nor time is the gateway's. */
const UNKNOWN_CODE = 255;

/** How and when it ended by the engine's word; null when it has not, and 'unknown' when the engine was not there. */
export function exitOfContainer({ State }: Container): RuntimeExit | 'unknown' | null {
  const { Running, ExitCode, StartedAt, FinishedAt } = State;
  if (Running || StartedAt === null) return null;
  if (FinishedAt === null || ExitCode === UNKNOWN_CODE) return 'unknown';
  const signal = signalNumbered(ExitCode - 128);
  return { at: FinishedAt, code: signal ? null : ExitCode, signal };
}

function signalNumbered(number: number): string | null {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
}
