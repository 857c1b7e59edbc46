import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../lib/log.ts';
import type { Target } from '../../lib/settings/models.ts';
import type { ModelProvider, ProviderAnswer, ProviderCall } from '../providers/model-provider.ts';
import { RelayError } from '../relay-error.ts';
import type { RelayMetrics } from '../relay-metrics.ts';
import type { Circuit } from './circuit.ts';

/** One model at one provider. */
export interface Route {
  target: Target;
  provider: ModelProvider;
  circuit: Circuit;
}

export interface RoutedAnswer extends ProviderAnswer {
  /** Where it comes from. */
  from: Target;
}

export interface Routes {
  /**
   * Begins to answer a call of the model of this public id: by its provider, or by a fall-back where that one cannot answer
   * now. Nothing is tried again once an answer has begun. Throws RelayError when there is none; see tryPatiently.
   */
  complete(modelId: string, call: ProviderCall): Promise<RoutedAnswer>;
  close(): Promise<void>;
}

export interface Patience {
  /**
   * For all tries of one call together, from its beginning on, without the time of the first try of a route that was late:
   * it is not taken from the others. Each route is tried once in any case.
   */
  budgetMs: number;
  /** Doubled from round to round. */
  firstPauseMs: number;
  /** How long a stream may take to begin where there is another route to try. */
  firstByteMs: number;
  monotonicMs: () => number;
  random: () => number;
}

interface Options {
  /** By public id, in the order in which they are tried. */
  routes: ReadonlyMap<string, readonly Route[]>;
  providers: Iterable<ModelProvider>;
  patience: Patience;
  metrics: Pick<RelayMetrics, 'tries'>;
  log: Log;
}

const LONGEST_PAUSE_MS = 8_000;

export function createRoutes({ routes, providers, patience, metrics, log }: Options): Routes {
  return {
    async complete(modelId, call) {
      const ofModel = routes.get(modelId);
      if (!ofModel) throw new Error(`No provider is set up for the model ${modelId}`);
      return tryPatiently({ patience, metrics, log }, ofModel, call);
    },
    async close() {
      await Promise.all([...providers].map((provider) => provider.close()));
    },
  };
}

type Means = Pick<Options, 'patience' | 'metrics' | 'log'>;

/** A route that failed in this call, and when it may be tried again: never, where it is our account that is refused. */
type Failed = Map<Route, { error: RelayError; notBefore: number }>;

/**
 * Tries one route after the other, those with a closed circuit first, and all of them again after a pause, for what may pass:
 * 408, 429, 5xx, no connection, no answer in time. What is the fault of the request ends the call at once, and our account
 * that one provider refuses is tried at the others alone. When the budget of time is used up, the call ends with 400 for
 * every cause: with another status the gateway would repeat the call ten times, and each repetition would get a new budget.
 */
async function tryPatiently(means: Means, routes: readonly Route[], call: ProviderCall): Promise<RoutedAnswer> {
  const { budgetMs, firstPauseMs, monotonicMs, random } = means.patience;
  let end = monotonicMs() + budgetMs;
  const late = new Set<Route>();
  const failed: Failed = new Map();
  let tries = 0;
  for (let round = 1; ; round += 1) {
    const due = routes.filter((route) => (failed.get(route)?.notBefore ?? 0) <= monotonicMs());
    for (const { route, isLast } of inOrder(due)) {
      tries += 1;
      const begunAt = monotonicMs();
      const answer = await tryOnce(means, { route, isLast }, call, failed);
      if (answer) return answer;
      if (failed.get(route)?.error.status !== 504 || late.has(route)) continue;
      late.add(route);
      end += monotonicMs() - begunAt;
    }
    const pauseMs = Math.min(firstPauseMs * 2 ** (round - 1), LONGEST_PAUSE_MS) * (0.5 + random() / 2);
    const now = monotonicMs();
    const next = Math.max(now + pauseMs, Math.min(...[...failed.values()].map(({ notBefore }) => notBefore)));
    if (next >= end) throw givenUp(routes, failed, tries);
    means.log.debug({ tries, pauseMs: next - now }, 'retrying a call to the model providers');
    await sleep(next - now, undefined, { signal: call.signal });
  }
}

/** Those whose circuit is open come last, but they come: an answer that is late is better than none. */
function* inOrder(routes: readonly Route[]): Generator<{ route: Route; isLast: boolean }> {
  const open: Route[] = [];
  for (const [index, route] of routes.entries()) {
    if (!route.circuit.admit()) open.push(route);
    else yield { route, isLast: index === routes.length - 1 && open.length === 0 };
  }
  for (const [index, route] of open.entries()) yield { route, isLast: index === open.length - 1 };
}

/** Null when another one may be tried. Throws what is the fault of the request, and when the caller has left. */
async function tryOnce(
  { patience, metrics }: Means,
  { route, isLast }: { route: Route; isLast: boolean },
  call: ProviderCall,
  failed: Failed,
): Promise<RoutedAnswer | null> {
  const { target, provider, circuit } = route;
  const request = { ...call.request, model: target.upstream };
  const count = (outcome: 'answered' | 'refused' | 'failed') => metrics.tries.inc({ ...target, outcome });
  try {
    const beginMs = isLast || !request.stream ? {} : { beginMs: patience.firstByteMs };
    const answer = await provider.complete({ ...call, ...beginMs, request });
    circuit.answered();
    count('answered');
    return { ...answer, from: target };
  } catch (error) {
    if (call.signal.aborted || !(error instanceof RelayError)) {
      circuit.abandoned();
      throw error;
    }
    if (!mayPass(error) && !error.isOurFault) {
      circuit.answered();
      count('refused');
      throw error;
    }
    circuit.failed(error);
    count('failed');
    const waitMs = error.isOurFault ? Number.POSITIVE_INFINITY : (error.retryAfterSeconds ?? 0) * 1_000;
    failed.set(route, { error, notBefore: patience.monotonicMs() + waitMs });
    return null;
  }
}

function mayPass({ status }: RelayError): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** The words of the first provider, where only our account stands in the way; else that it cannot be now. */
function givenUp(routes: readonly Route[], failed: Failed, tries: number): RelayError {
  const errors = routes.flatMap((route) => failed.get(route)?.error ?? []);
  const [first] = errors;
  if (first && errors.every(({ isOurFault }) => isOurFault)) return first;
  const times = tries === 1 ? 'once' : `${tries} times`;
  return new RelayError(400, `The model could not answer now; it was asked ${times}. Send the message again later.`, {
    cause: first,
    advice: errors.map(({ advice }) => advice ?? '').join(' '),
  });
}
