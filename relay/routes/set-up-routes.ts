import type { Log } from '../../lib/log.ts';
import { DEFAULT_PROVIDER, targetsOf } from '../../lib/settings/models.ts';
import type { ModelSettings, Target } from '../../lib/settings/models.ts';
import type { ProviderSettings } from '../../lib/settings/providers.ts';
import { createEchoModel } from '../echo-model.ts';
import { createProvider } from '../providers/create-provider.ts';
import type { UpstreamLimits } from '../providers/http-provider.ts';
import type { ModelProvider } from '../providers/model-provider.ts';
import type { RelayMetrics } from '../relay-metrics.ts';
import { createCircuit } from './circuit.ts';
import type { OpenCircuit } from './circuit.ts';
import { createRoutes } from './routes.ts';
import type { Patience, Route, Routes } from './routes.ts';

interface Settings {
  models: Readonly<Record<string, ModelSettings>>;
  providers: Readonly<Record<string, ProviderSettings>>;
}

interface Options {
  patience: Patience;
  metrics: RelayMetrics;
  /** Told whenever a provider begins or ends to fail for a model. */
  onChange(target: Target, open: OpenCircuit | null): void;
  limits?: UpstreamLimits | undefined;
  log: Log;
}

/** The settings of the relay with MODEL_UPSTREAM_* as the provider `default` among the others. */
export function allProviders(config: {
  PROVIDERS: Readonly<Record<string, ProviderSettings>>;
  MODEL_UPSTREAM_URL?: string | undefined;
  MODEL_UPSTREAM_KEY?: string | undefined;
  modelUpstreamKeyFile: string | undefined;
}): Record<string, ProviderSettings> {
  const { PROVIDERS, MODEL_UPSTREAM_URL: url, MODEL_UPSTREAM_KEY: key, modelUpstreamKeyFile: keyFile } = config;
  if (url === undefined) return { ...PROVIDERS };
  // An empty file is no key, as an empty setting is none.
  const secret = keyFile !== undefined && key !== undefined ? { keyFile } : { key };
  return { ...PROVIDERS, [DEFAULT_PROVIDER]: { kind: 'openai', url, auth: 'key', headers: {}, ...secret } };
}

/** The routes of every model. A model without a provider is answered by the echo model. */
export async function setUpRoutes({ models, providers }: Settings, options: Options): Promise<Routes> {
  const { patience, metrics, onChange, log } = options;
  const byName = new Map<string, ModelProvider>();
  for (const [name, settings] of Object.entries(providers)) byName.set(name, await createProvider(name, settings, options));
  if (byName.size === 0) {
    log.warn('no provider is set (PROVIDERS, MODEL_UPSTREAM_URL): agents are answered by the built-in echo model');
    byName.set(DEFAULT_PROVIDER, createEchoModel());
  }
  const known = new Map<string, Route>();
  const routeTo = (target: Target): Route => {
    const id = JSON.stringify([target.provider, target.upstream]);
    const provider = byName.get(target.provider);
    if (!provider) throw new Error(`There is no provider ${target.provider}`);
    const route = known.get(id) ?? { target, provider, circuit: circuitOf(target) };
    known.set(id, route);
    return route;
  };
  const circuitOf = (target: Target) => {
    metrics.openCircuits.set({ ...target }, 0);
    return createCircuit({
      monotonicMs: patience.monotonicMs,
      onChange(open) {
        metrics.openCircuits.set({ ...target }, open ? 1 : 0);
        if (open) log.warn({ ...target, ...open }, 'a model provider fails: other providers of the model are asked first');
        else log.info({ ...target }, 'a model provider answers again');
        onChange(target, open);
      },
    });
  };
  const routes = new Map(Object.entries(models).map(([id, model]) => [id, targetsOf(model).map(routeTo)]));
  return createRoutes({ routes, providers: byName.values(), patience, metrics, log });
}
