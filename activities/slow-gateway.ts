import { setTimeout as sleep } from 'node:timers/promises';
import type { RuntimeDriver } from '../runtime/driver.ts';
import {
  AgentsNotLiveError,
  GatewayConnectError,
  GatewayFloodError,
  GatewayRequestError,
} from '../runtime/gateway/gateway-errors.ts';
import { createSlownessMeter } from '../runtime/slowness.ts';
import type { Slowness } from '../runtime/slowness.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** From the spawn on: the longest that a start waits for a gateway that is slow. */
export const LONGEST_START_MS = 5 * 60_000;
/** Between the two readings of its CPU time. */
const READING_MS = 1_000;

interface Deps extends Pick<StepDeps, 'load' | 'monotonicMs' | 'clock'> {
  driver: Pick<RuntimeDriver, 'inspect' | 'activityOf'>;
}

interface OfGateway {
  runtimeId: string;
  signal: AbortSignal;
}

/** Why a gateway that does not answer may be well; null when it looks dead. Takes up to a second. Throws when aborted. */
export async function slownessOf(deps: Deps, { runtimeId, signal }: OfGateway): Promise<Slowness | null> {
  const meter = createSlownessMeter(deps, runtimeId);
  const first = await meter.read();
  if (first) return first;
  await sleep(READING_MS, undefined, { signal });
  return meter.read();
}

/** How long ago the gateway of this runtime was spawned; null when none runs. */
export async function gatewayAgeMs({ driver, clock }: Deps, runtimeId: string): Promise<number | null> {
  const { status, startedAt } = await driver.inspect(runtimeId);
  return status === 'running' && startedAt ? clock().getTime() - startedAt.getTime() : null;
}

/**
 * Whether a start failed only because its gateway is slow, so that another attempt is worth it with the same process.
 * Never for a gateway that was spawned longer ago than a start may take.
 */
export async function failedForSlowness(deps: Deps, of: OfGateway, error: unknown): Promise<boolean> {
  if (!mayBeSlowness(error)) return false;
  const ageMs = await gatewayAgeMs(deps, of.runtimeId);
  if (ageMs === null || ageMs >= LONGEST_START_MS) return false;
  const slowness = await slownessOf(deps, of);
  // A gateway that is busy with something else may have refused its agents; for one that is starved it is not known.
  return error instanceof AgentsNotLiveError ? slowness === 'starved' : slowness !== null;
}

function mayBeSlowness(error: unknown): boolean {
  if (error instanceof AgentsNotLiveError) return true;
  if (error instanceof GatewayFloodError) return false;
  return (error instanceof GatewayConnectError || error instanceof GatewayRequestError) && error.retryable;
}
