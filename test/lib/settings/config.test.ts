import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { defaultMaxRunning } from '../../../lib/settings/max-running.ts';
import { ConfigError, loadConfig, loadConfigOf, SETTINGS_OF, settingsSchema } from '../../../lib/settings/config.ts';
import { wireOf } from '../../../lib/settings/models.ts';
import { envExample, settingsPage } from '../../../lib/settings/describe-settings.ts';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const REQUIRED = {
  DATABASE_URL: 'postgres://localhost/thermidora',
  TEMPORAL_ADDRESS: 'localhost:7233',
  MASTER_KEYS: `k1:${key(1)}`,
  SMTP_URL: 'print:',
};
const names = Object.keys(settingsSchema.shape);

async function projectFile(name: string): Promise<string> {
  return readFile(join(import.meta.dirname, '../../..', name), 'utf8');
}

test('every setting says what it is for', () => {
  for (const [name, schema] of Object.entries(settingsSchema.shape))
    expect([name, schema.description]).toEqual([name, expect.stringMatching(/.{5}/)]);
});

// When one of these two fails: npm run settings
test('.env.example lists exactly the settings, as the schema describes them, and sets none', async () => {
  const text = await projectFile('.env.example');
  expect([...text.matchAll(/^#([A-Z_]+)=$/gm)].map(([, name]) => name)).toEqual(names);
  expect(parseEnv(text)).toEqual({});
  expect(text).toBe(envExample());
});

test('docs/SETTINGS.md lists exactly the settings, as the schema describes them (npm run settings)', async () => {
  const page = await projectFile('docs/SETTINGS.md');
  expect([...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name)).toEqual(names);
  expect(page).toBe(settingsPage());
});

test('what is required is enough, and the rest has its defaults', () => {
  expect(loadConfig(REQUIRED)).toMatchObject({
    HOST: '127.0.0.1',
    PORT: 3000,
    TEMPORAL_NAMESPACE: 'default',
    PRICE_PER_HOUR_USD: '0.03',
    SIGNUP_CREDIT_USD: '50',
    WEBHOOK_ALLOW_PRIVATE: false,
    RUNTIME: 'process',
  });
});

test('as many gateways run by default as the memory holds: in containers what each may take, beside the rest; one at least', () => {
  const gibibytes = (count: number) => count * 1024 ** 3;
  const docker = (INSTANCE_MEMORY_MB: number, total: number) =>
    defaultMaxRunning({ RUNTIME: 'docker', INSTANCE_MEMORY_MB }, gibibytes(total));
  expect([docker(1_536, 16), docker(1_536, 6), docker(1_536, 5.9), docker(4_096, 16), docker(1_536, 2)]).toEqual([8, 2, 1, 3, 1]);
  expect(defaultMaxRunning({ RUNTIME: 'process', INSTANCE_MEMORY_MB: 1_536 }, gibibytes(16))).toBe(14);
  const settings = { ...REQUIRED, RUNTIME: 'docker', INSTANCE_MEMORY_MB: '4096' };
  expect(loadConfig(settings).MAX_RUNNING).toBe(defaultMaxRunning({ RUNTIME: 'docker', INSTANCE_MEMORY_MB: 4_096 }));
  expect(loadConfig({ ...settings, MAX_RUNNING: '3' }).MAX_RUNNING).toBe(3);
});

test('a setting may stand in a file, and a file that cannot be used is named', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'settings-'));
  try {
    const file = join(directory, 'token');
    await writeFile(file, `${'t'.repeat(32)}\n`);
    const config = loadConfig({ ...REQUIRED, OPERATOR_TOKEN_FILE: file });
    expect(config.OPERATOR_TOKEN).toBe('t'.repeat(32));
    const both = { ...REQUIRED, OPERATOR_TOKEN_FILE: file, OPERATOR_TOKEN: 'u'.repeat(32) };
    expect(() => loadConfig(both)).toThrow('OPERATOR_TOKEN_FILE: OPERATOR_TOKEN is given too');
    const lost = { ...REQUIRED, OPERATOR_TOKEN_FILE: join(directory, 'lost') };
    expect(() => loadConfig(lost)).toThrow(`OPERATOR_TOKEN_FILE: the file ${join(directory, 'lost')} cannot be read`);
    // A file of Temporal's own settings is for Temporal's library.
    expect(loadConfig({ ...REQUIRED, TEMPORAL_CONFIG_FILE: file }).temporalEnv).toMatchObject({ TEMPORAL_CONFIG_FILE: file });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('each process reads its own settings, and needs none of another', () => {
  const { SMTP_URL: _, ...ofWorker } = REQUIRED;
  expect(loadConfigOf(SETTINGS_OF.worker, { ...ofWorker, OPERATOR_TOKEN: 'short' })).not.toHaveProperty('OPERATOR_TOKEN');
  const ofRelay = { DATABASE_URL: REQUIRED.DATABASE_URL, RELAY_KEYS: REQUIRED.MASTER_KEYS };
  expect(loadConfigOf(SETTINGS_OF.relay, { ...ofRelay, RUNTIME: 'docker' })).toMatchObject({ RELAY_HOST: '172.17.0.1' });
  for (const name of ['OPERATOR_TOKEN', 'SMTP_URL', 'TEMPORAL_ADDRESS', 'API_DATABASE_URL'])
    expect(Object.keys(SETTINGS_OF.relay.shape)).not.toContain(name);
  expect(loadConfigOf(SETTINGS_OF.api, { ...REQUIRED, RUNTIME: 'docker' })).toMatchObject({ RUNTIME: 'docker' });
  for (const name of ['DATA_DIR', 'DOCKER_SOCKET', 'RELAY_HOST', ...names.filter((one) => one.startsWith('INSTANCE_'))])
    expect(Object.keys(SETTINGS_OF.api.shape)).not.toContain(name);
  for (const name of ['MODEL_UPSTREAM_KEY', 'API_DATABASE_URL']) {
    expect(Object.keys(SETTINGS_OF.api.shape)).not.toContain(name);
    expect(Object.keys(SETTINGS_OF.worker.shape)).not.toContain(name);
  }
});

test('every wrong or missing setting is named at once, and no value is repeated', () => {
  const load = () =>
    loadConfig({ ...REQUIRED, DATABASE_URL: '', PORT: 'high', MASTER_KEYS: 'k1:c2hvcnQ=', OPERATOR_TOKEN: 'short-secret' });
  expect(load).toThrow(ConfigError);
  expect(load).toThrow(/DATABASE_URL[\s\S]*MASTER_KEYS|MASTER_KEYS[\s\S]*DATABASE_URL/);
  expect(load).toThrow(/PORT[\s\S]*OPERATOR_TOKEN|OPERATOR_TOKEN[\s\S]*PORT/);
  expect(load).not.toThrow(/short-secret|c2hvcnQ=/);
});

test('master keys keep their order, the active one first, and no id counts twice', () => {
  const { MASTER_KEYS } = loadConfig({ ...REQUIRED, MASTER_KEYS: `new:${key(2)}, old:${key(1)}` });
  expect(MASTER_KEYS.map(({ id, key: bytes }) => [id, bytes[0]])).toEqual([
    ['new', 2],
    ['old', 1],
  ]);
  expect(() => loadConfig({ ...REQUIRED, MASTER_KEYS: `k:${key(1)},k:${key(2)}` })).toThrow(
    'MASTER_KEYS: must not name a key id twice',
  );
});

test.each(['http://mail', 'print', ''])('%j is no mail server', (SMTP_URL) => {
  expect(() => loadConfig({ ...REQUIRED, SMTP_URL })).toThrow('SMTP_URL');
});

test.each(['not json', '{}', '{"m":{"upstream":"u"}}'])('%s is no model catalogue', (MODELS) => {
  expect(() => loadConfig({ ...REQUIRED, MODELS })).toThrow('MODELS');
});

test("Temporal's own settings are passed on as they are", () => {
  const given = { ...REQUIRED, TEMPORAL_API_KEY: 'k', TEMPORAL_TLS: 'true', OTHER: 'x' };
  expect(loadConfig(given).temporalEnv).toEqual({
    TEMPORAL_ADDRESS: 'localhost:7233',
    TEMPORAL_API_KEY: 'k',
    TEMPORAL_TLS: 'true',
  });
});

test('with RUNTIME=docker the relay is where containers reach it, and a loopback address is refused', () => {
  expect(loadConfig({ ...REQUIRED, RUNTIME: 'docker' }).RELAY_HOST).toBe('172.17.0.1');
  expect(loadConfig({ ...REQUIRED, RUNTIME: 'docker', RELAY_HOST: '10.1.2.3' }).RELAY_HOST).toBe('10.1.2.3');
  expect(loadConfig(REQUIRED).RELAY_HOST).toBe('127.0.0.1');
  for (const RELAY_HOST of ['127.0.0.1', '127.1.1.1', 'localhost', '::1'])
    expect(() => loadConfig({ ...REQUIRED, RUNTIME: 'docker', RELAY_HOST })).toThrow('containers reach');
});

describe('PROVIDERS and MODELS', () => {
  const aws = { kind: 'bedrock', region: 'us-east-1' };
  const claude = { kind: 'anthropic', keyFile: '/run/providers/claude' };
  const model = { upstream: 'm', contextWindow: 200_000, maxTokens: 8_192 };
  const ofRelay = (settings: object, extra: Record<string, string> = {}) =>
    loadConfigOf(SETTINGS_OF.relay, {
      ...{ DATABASE_URL: REQUIRED.DATABASE_URL, RELAY_KEYS: REQUIRED.MASTER_KEYS, ...extra },
      ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
    });

  test('one provider with the name "default" serves the models of the reference', () => {
    const { PROVIDERS, MODELS } = ofRelay({ PROVIDERS: { default: aws } });
    expect(PROVIDERS['default']).toEqual(aws);
    expect(Object.keys(MODELS)).toEqual(['moonshotai.kimi-k2.5', 'anthropic.claude-sonnet-4-20250514-v1:0']);
  });

  test('a model has what it reads, its prices, its names, its accounts and its fall-backs', () => {
    const full = {
      ...model,
      ...{ provider: 'claude', aliases: ['best'], input: ['text', 'image'], accounts: ['acc_1'] },
      ...{
        fallbacks: [{ provider: 'aws', upstream: 'us.anthropic.claude-x' }],
        priceUsdPerMillion: { input: 3, output: '15.00' },
      },
    };
    const { MODELS } = ofRelay({ PROVIDERS: { aws, claude }, MODELS: { m: full } });
    expect(MODELS['m']).toEqual({ ...full, priceUsdPerMillion: { input: '3', output: '15.00' } });
  });

  test.each([
    ['an unknown kind', { PROVIDERS: { x: { kind: 'azure' } } }, 'PROVIDERS.x.kind'],
    ['an openai provider without a url', { PROVIDERS: { x: { kind: 'openai' } } }, 'PROVIDERS.x.url'],
    ['bedrock without a region', { PROVIDERS: { x: { kind: 'bedrock' } } }, 'PROVIDERS.x.region'],
    ['anthropic without a key', { PROVIDERS: { x: { kind: 'anthropic' } } }, 'PROVIDERS.x: needs a keyFile or a key'],
    ['two keys', { PROVIDERS: { x: { ...claude, key: 'k' } } }, 'has both key and keyFile; remove one of the two'],
    ['a signature without a region', { PROVIDERS: { x: { kind: 'openai', url: 'http://x/v1', auth: 'aws' } } }, 'needs a region'],
    ['an unknown field', { PROVIDERS: { x: { ...aws, regio: 'x' } } }, 'PROVIDERS.x'],
    ['a model without a provider', { PROVIDERS: { aws }, MODELS: { m: model } }, 'm: set its provider to one of: aws'],
    [
      'an unknown provider',
      { PROVIDERS: { aws }, MODELS: { m: { ...model, provider: 'b' } } },
      '"b" is not one of PROVIDERS; use one of: aws',
    ],
    [
      'an unknown provider of a fall-back',
      { PROVIDERS: { default: aws }, MODELS: { m: { ...model, fallbacks: [{ provider: 'b', upstream: 'm' }] } } },
      'm.fallbacks.0: "b" is not one of PROVIDERS: default',
    ],
    [
      'a fall-back that is called in another way',
      { PROVIDERS: { default: aws, claude }, MODELS: { m: { ...model, fallbacks: [{ provider: 'claude', upstream: 'm' }] } } },
      'm.fallbacks.0: is called by anthropic-messages, and the model by openai-completions',
    ],
    ['an alias of two models', { MODELS: { a: { ...model, aliases: ['b'] }, b: model } }, '"b" names two models'],
    ['no text among what a model reads', { MODELS: { m: { ...model, input: ['image'] } } }, 'must include text'],
  ])('are refused for %s, with what to change', (_, settings, sentence) => {
    expect(() => ofRelay(settings)).toThrow(sentence);
  });

  test('MODEL_UPSTREAM_URL is the provider "default", so there is no second one of this name', () => {
    const extra = { MODEL_UPSTREAM_URL: 'http://models/v1' };
    expect(() => ofRelay({ PROVIDERS: { default: aws } }, extra)).toThrow('is the provider of MODEL_UPSTREAM_URL');
    expect(ofRelay({ PROVIDERS: { aws }, MODELS: { m: model } }, extra).MODELS).toHaveProperty('m');
  });

  test('a process that calls no provider learns kinds and no keys', () => {
    const PROVIDERS = JSON.stringify({ aws, a: { kind: 'anthropic', key: 'secret', headers: { 'x-secret': 'secret' } } });
    for (const part of ['api', 'worker'] as const) {
      const config = loadConfigOf(SETTINGS_OF[part], { ...REQUIRED, PROVIDERS });
      expect(config.PROVIDERS).toEqual({ aws: { kind: 'bedrock' }, a: { kind: 'anthropic' } });
    }
  });

  test('the wire of a model follows its provider, and of Bedrock also the model', () => {
    const providers = { aws: { kind: 'bedrock' }, claude: { kind: 'anthropic' }, any: { kind: 'openai' } } as const;
    const wire = (provider: string, upstream: string) => wireOf({ provider, upstream }, providers);
    expect([wire('any', 'anthropic.claude'), wire('claude', 'x'), wire('unset', 'x')]).toEqual([
      ...['openai-completions', 'anthropic-messages', 'openai-completions'],
    ]);
    const arn = 'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0';
    for (const id of ['anthropic.claude-sonnet-4-20250514-v1:0', 'eu.anthropic.claude-x', arn])
      expect([id, wire('aws', id)]).toEqual([id, 'anthropic-messages']);
    for (const id of ['moonshotai.kimi-k2.5', 'us.meta.llama', 'notanthropic.x'])
      expect([id, wire('aws', id)]).toEqual([id, 'openai-completions']);
  });
});
