import type { Log } from '../../lib/log.ts';
import type { ProviderSettings } from '../../lib/settings/providers.ts';
import { createAnthropic } from './anthropic.ts';
import type { UpstreamLimits } from './http-provider.ts';
import type { ModelProvider } from './model-provider.ts';
import { createOpenAi } from './openai.ts';
import type { Prove } from './openai.ts';
import { createProviderKey } from './provider-key.ts';

interface Options {
  log: Log;
  limits?: UpstreamLimits | undefined;
}

/** The provider of this name and these settings. What is AWS's is loaded only where it is used: it takes memory. */
export async function createProvider(name: string, settings: ProviderSettings, { log, limits }: Options): Promise<ModelProvider> {
  const key = createProviderKey(name, settings, log);
  switch (settings.kind) {
    case 'openai': {
      const { url, headers } = settings;
      return createOpenAi({ name, url, headers, prove: await proofOf(settings, bearer(key)), limits }, log);
    }
    case 'anthropic':
      return createAnthropic({ name, url: settings.url, key, headers: settings.headers, limits }, log);
    case 'bedrock': {
      const { createBedrock } = await import('./bedrock/bedrock.ts');
      const hasKey = settings.key !== undefined || settings.keyFile !== undefined;
      return createBedrock({ name, region: settings.region, url: settings.url, key: hasKey ? key : null, limits }, log);
    }
  }
}

async function proofOf({ auth, region }: Extract<ProviderSettings, { kind: 'openai' }>, byKey: Prove): Promise<Prove> {
  if (auth === 'key') return byKey;
  const { createAwsProof } = await import('./aws-proof.ts');
  // Settings without a region are refused with auth "aws".
  return createAwsProof({ region: region ?? '', service: 'bedrock' });
}

function bearer(key: () => Promise<string | undefined>): Prove {
  return async () => {
    const found = await key();
    return found === undefined ? {} : { authorization: `Bearer ${found}` };
  };
}
