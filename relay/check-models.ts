import type { Log } from '../lib/log.ts';
import { targetsOf, wireOf } from '../lib/settings/models.ts';
import type { ModelSettings, Target } from '../lib/settings/models.ts';
import type { ProviderSettings } from '../lib/settings/providers.ts';
import { createProvider } from './providers/create-provider.ts';
import type { ModelProvider } from './providers/model-provider.ts';
import { RelayError } from './relay-error.ts';
import { NOTHING, tapEventStream } from './usage-tap.ts';
import type { Usage } from './usage-tap.ts';
import { anthropicWire } from './wires/anthropic.ts';
import { openAiWire } from './wires/openai.ts';
import type { Wire } from './wires/wire.ts';

/** For one call, with its whole answer. */
const CALL_MS = 60_000;
const QUESTION = 'Answer with the word ok and nothing else.';

export interface ModelCheck {
  /** The public id of the model. */
  id: string;
  target: Target;
  /** Null: the model answered. Else the sentence that its operator needs. */
  problem: string | null;
  /** What the provider says that the call used; null when it does not say. */
  usage: Usage | null;
}

interface Catalogue {
  models: Readonly<Record<string, ModelSettings>>;
  providers: Readonly<Record<string, ProviderSettings>>;
}

/** Calls each model of each of its providers once, one after the other, with a question of a few tokens. */
export async function* checkModels({ models, providers }: Catalogue, log: Log): AsyncGenerator<ModelCheck> {
  const limits = { thinkingMs: CALL_MS, silenceMs: CALL_MS };
  for (const [id, model] of Object.entries(models)) {
    for (const target of targetsOf(model)) {
      const settings = providers[target.provider];
      if (!settings) {
        yield { id, target, usage: null, problem: `There is no provider "${target.provider}". Add it to PROVIDERS.` };
        continue;
      }
      const provider = await createProvider(target.provider, settings, { log, limits });
      const wire = wireOf(target, providers) === 'anthropic-messages' ? anthropicWire : openAiWire;
      yield { id, target, ...(await callOnce(provider, wire, { model, target })) };
      await provider.close();
    }
  }
}

async function callOnce(
  provider: ModelProvider,
  wire: Wire,
  { model, target }: { model: ModelSettings; target: Target },
): Promise<Pick<ModelCheck, 'problem' | 'usage'>> {
  const limit = wire === openAiWire ? 'max_completion_tokens' : 'max_tokens';
  const question = { model: target.upstream, stream: true, messages: [{ role: 'user', content: QUESTION }], [limit]: 256 };
  let found: { usage: Usage | null; came: number } = { usage: null, came: 0 };
  try {
    const signal = AbortSignal.timeout(CALL_MS);
    const { body } = await provider.complete({ request: wire.allowedFields(question, model), traceparent: undefined, signal });
    const record = async (usage: Usage | null, _reason: string | null, came: number) => void (found = { usage, came });
    for await (const _ of tapEventStream(body, wire.createReader(), record));
  } catch (error) {
    return { usage: found.usage, problem: sentenceOf(error) };
  }
  const { came, usage } = found;
  if (came === 0 && (usage ?? NOTHING).outputTokens === 0) {
    return { usage, problem: `The answer holds no text. Check the kind and the url of the provider "${target.provider}".` };
  }
  return { usage, problem: null };
}

function sentenceOf(error: unknown): string {
  if (error instanceof RelayError) return error.advice || error.message;
  return Error.isError(error) ? error.message : String(error);
}
