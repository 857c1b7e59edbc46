import { z } from 'zod';
import { fromJson } from './from-json.ts';

const url = z.url({ protocol: /^https?$/ });
const key = z.string().min(1).describe('the key itself; keyFile keeps it out of the environment');
const keyFile = z.string().min(1);
const region = z.string().regex(/^[a-z0-9-]{4,32}$/, 'must be an AWS region such as us-east-1');
const headers = z.record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the name of a header'), z.string().max(1_000));

const openai = z.strictObject({
  kind: z.literal('openai'),
  url,
  key: key.optional(),
  keyFile: keyFile.optional(),
  /** `aws`: calls are signed with the machine's AWS credentials, as Bedrock's OpenAI-compatible endpoint takes them. */
  auth: z.enum(['key', 'aws']).default('key'),
  region: region.optional(),
  headers: headers.default({}),
});

const anthropic = z.strictObject({
  kind: z.literal('anthropic'),
  url: url.default('https://api.anthropic.com'),
  key: key.optional(),
  keyFile: keyFile.optional(),
  headers: headers.default({}),
});

const bedrock = z.strictObject({
  kind: z.literal('bedrock'),
  region,
  /** Another endpoint than the region's own, such as that of a private network. */
  url: url.optional(),
  /** A Bedrock API key. Without one it is what the AWS SDK finds: a role, a profile, keys or a web identity. */
  key: key.optional(),
  keyFile: keyFile.optional(),
});

const provider = z.discriminatedUnion('kind', [openai, anthropic, bedrock], {
  error: (issue) => (issue.code === 'invalid_union' ? 'kind must be openai, anthropic or bedrock' : undefined),
});

export type ProviderSettings = z.infer<typeof provider>;
export type ProviderKind = ProviderSettings['kind'];

/** The setting PROVIDERS: who answers model calls, by the names that MODELS uses. */
export const providersSetting = fromJson(
  z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be a name of small letters, digits and hyphens'), provider),
).superRefine((providers, context) => {
  for (const [name, settings] of Object.entries(providers))
    for (const message of problemsOf(settings)) context.addIssue({ code: 'custom', path: [name], message });
});

/** The same for a process that calls no provider: without the keys, and without the headers, which may hold some. */
export const providerKindsSetting = providersSetting.transform((providers) =>
  Object.fromEntries(Object.entries(providers).map(([name, { kind }]) => [name, { kind }])),
);

function problemsOf(settings: ProviderSettings): string[] {
  const problems: string[] = [];
  if (settings.key !== undefined && settings.keyFile !== undefined)
    problems.push('has both key and keyFile; remove one of the two');
  if (settings.kind === 'openai' && settings.auth === 'aws') {
    if (settings.region === undefined) problems.push('needs a region for auth "aws"');
    if (settings.key !== undefined || settings.keyFile !== undefined)
      problems.push('needs no key with auth "aws"; remove the key, or auth');
  }
  if (settings.kind === 'anthropic' && settings.key === undefined && settings.keyFile === undefined)
    problems.push('needs a keyFile or a key');
  return problems;
}
