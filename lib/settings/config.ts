import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { backupSettings, OF_BACKUP } from './backups.ts';
import { instanceSettings } from './instances.ts';
import { kubernetesSettings } from './kubernetes.ts';
import { capacityOf } from './max-running.ts';
import { DEFAULT_MODELS, DEFAULT_PROVIDER, modelProblems, modelsSetting } from './models.ts';
import { nodeName } from './node-name.ts';
import { OF_RUNTIME } from './of-runtime.ts';
import { providerKindsSetting, providersSetting } from './providers.ts';
import { readSettingFiles } from './setting-files.ts';
import { count, list } from './values.ts';

/** A setting is wrong or missing. The message names each one and says what to change. */
export class ConfigError extends Error {}

const port = z.coerce.number().int().min(1).max(65_535);
const days = count.max(3_650);
const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/ });
const roleUrl = (part: string) =>
  postgresUrl
    .optional()
    .describe(`for \`npm run stores:set-up\`: the \`DATABASE_URL\` of the ${part}, whose user it makes; all three or none`);
const decimalUsd = z.string().regex(/^\d{1,9}(\.\d{1,9})?$/, 'must be a decimal amount such as 0.03');

const keyList = z.string().transform((text, context) => {
  const keys = text.split(',').map((entry) => {
    const at = entry.indexOf(':');
    return { id: entry.slice(0, at).trim(), key: Buffer.from(entry.slice(at + 1).trim(), 'base64') };
  });
  for (const { id, key } of keys) {
    if (!/^[a-z0-9-]{1,32}$/.test(id) || key.length !== 32)
      context.addIssue('must be id:base64 pairs of 32 bytes each, comma separated, the active one first');
  }
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) context.addIssue('must not name a key id twice');
  return keys;
});

const PROVIDERS_TEXT =
  'JSON: `{ "<name>": { "kind": "openai" | "anthropic" | "bedrock", "url"?, "key"? | "keyFile"?, "region"?, "headers"?, "auth"?: "aws" } }`; ' +
  'a `keyFile` is read again when it changes; `MODEL_UPSTREAM_*` is the provider `default`, of kind `openai`';
const MODELS_TEXT =
  'JSON: `{ "<public id>": { "upstream", "contextWindow", "maxTokens", "provider"?, "aliases"?, "input"?: ["text", "image"], "fallbacks"?: [{ "provider", "upstream" }], "priceUsdPerMillion"?: { "input"?, "output"?, "cacheRead"?, "cacheWrite"? }, "accounts"?: ["acc_..."] } }`; ' +
  'the first one is the default';

/** The machine's own address on the network that every Docker engine has. */
const DOCKER_BRIDGE = '172.17.0.1';

/** Every setting of every process: its name in the environment, its default and what it is for. */
export const settingsSchema = z.object({
  HOST: z.string().default('127.0.0.1').describe('address the API listens on'),
  PORT: port.default(3000).describe('port of the API'),
  RELAY_HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      "address of the model relay, as instances reach it; with `docker` by default `172.17.0.1`, the engine's own bridge",
    ),
  RELAY_PORT: port.default(3001).describe('port of the model relay'),
  RELAY_MAX_BODY_MB: count.default(8).describe('the largest request that the model relay takes; it holds eight of them at most'),
  METRICS_PORT: port.default(3002).describe('metrics of the API; the worker and the relay take the next two ports'),
  METRICS_HOST: z.string().default('127.0.0.1').describe('address that metrics are served on'),
  WORKER_HOST: z
    .union([z.ipv4(), z.ipv6()])
    .default('127.0.0.1')
    .refine(
      (address) => address !== '0.0.0.0' && address !== '::',
      'must be the address by which API processes reach this worker',
    )
    .describe(
      "where a worker serves logs and files to API processes: the loopback address, or, where these run on other machines, the worker's own",
    ),
  WORKER_PORT: port.optional().describe('its port there; unset: a free one'),
  TRUSTED_PROXIES: list.describe('comma separated addresses whose `X-Forwarded-For` counts'),
  CORS_ORIGINS: list
    .refine(
      (origins) => origins.every((origin) => origin === '*' || isOrigin(origin)),
      'must be origins such as https://app.example.com, or *',
    )
    .describe('comma separated origins of pages that may call the API from a browser; `*`: all'),
  RATE_LIMIT_PER_MINUTE: count.default(600).describe('requests per minute and account'),
  AUTH_RATE_LIMIT_PER_MINUTE: count.default(10).describe('requests per minute and address on register, login and verify'),
  MAX_CALLS_PER_ACCOUNT: count
    .default(8)
    .describe(
      'calls of one account that are at work at the same time in one API process; a quarter of them, at least two, while other accounts call',
    ),
  MAX_WAITS_PER_ACCOUNT: count
    .default(100)
    .describe('calls of one account that wait for a reply or an instance, or stream, in one API process'),
  MAX_INSTANCES_PER_ACCOUNT: count.default(20).describe('instances of one account, without deleted ones'),
  MAX_AGENTS_PER_INSTANCE: count.default(100).describe('agents of one instance, without deleted ones'),
  MAX_STORED_MB_PER_ACCOUNT: count
    .default(10_240)
    .describe(
      'what one account may store in the database: messages, events, files, skills, secrets, jobs, deliveries; more is 413',
    ),
  SLEEP_AFTER_MS: count
    .min(60_000)
    .max(2_147_483_647)
    .optional()
    .describe('what a new instance gets as `sleepAfterMs`: it falls asleep when it has had no turn for so long; unset: never'),
  SUSPEND: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe(
      '`auto`: gateways of sleeping instances are suspended, and their memory moved to swap, where the machine has room for it; `off`: they are always stopped',
    ),
  DEEP_SLEEP_AFTER_MS: count
    .max(2_147_483_647)
    .default(21_600_000)
    .describe('how long the gateway of a sleeping instance is suspended before it is stopped'),
  MAX_RUNNING: count
    .optional()
    .describe(
      'gateways that run at once on this machine; by default as many as its memory holds, with `docker` of `INSTANCE_MEMORY_MB` each beside 3 GiB for the rest, else of 1 GiB each beside 2 GiB',
    ),
  POOL_SIZE: z.coerce
    .number()
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe(
      'gateways of this machine that are started before a new instance needs one, as far as memory is free for them (with `kubernetes`: as far as the cluster places them); they take nothing from `MAX_RUNNING`',
    ),
  NODE_NAME: nodeName.describe('the name of this machine, another one on each of several whose workers share the database'),
  DATABASE_URL: postgresUrl.describe('`postgres://...`; `npm start` brings its own PostgreSQL'),
  API_DATABASE_URL: roleUrl('API'),
  WORKER_DATABASE_URL: roleUrl('worker'),
  RELAY_DATABASE_URL: roleUrl('model relay'),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s:]+:\d+$/, 'must be host:port')
    .describe('the Temporal frontend; `npm start` brings its own'),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default').describe('the Temporal namespace'),
  TEMPORAL_UI_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('where operators find the Temporal Web UI, which the console links to'),
  WORKER_BUILD_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be a version or commit: letters, digits, `.`, `_` and `-`, at most 64')
    .optional()
    .describe('the build of this worker: runs stay with the build that began them (docs/OPERATIONS.md); unset: no versions'),
  MASTER_KEYS: keyList.describe(
    '`id:base64` of 32 bytes, comma separated, first one active; encrypts secrets, derives the signing keys',
  ),
  RELAY_KEYS: keyList
    .optional()
    .describe(
      'what the model relay needs of `MASTER_KEYS` (`npm run relay:keys`); unset: it derives them from `MASTER_KEYS` itself',
    ),
  OPERATOR_TOKEN: z
    .string()
    .min(32, 'must have at least 32 characters')
    .optional()
    .describe('the bearer token of `/v1/admin`; unset: those routes answer 404'),
  RUNTIME: z
    .enum(['process', 'docker', 'kubernetes'])
    .default('process')
    .describe('how instances run: `process`, `docker` or `kubernetes`'),
  ...instanceSettings,
  ...kubernetesSettings,
  MODEL_UPSTREAM_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('any OpenAI-compatible `/v1`; unset: the built-in echo model'),
  MODEL_UPSTREAM_KEY: z.string().optional().describe('the bearer key of the upstream; it never enters an instance'),
  PROVIDERS: providersSetting.prefault({}).describe(PROVIDERS_TEXT),
  MODELS: modelsSetting.prefault(DEFAULT_MODELS).describe(MODELS_TEXT),
  SMTP_URL: z
    .union([z.url({ protocol: /^smtps?$/ }), z.literal('print:')])
    .describe('`smtp://` or `smtps://` server for login codes; `print:` writes them to the log (what `npm start` does)'),
  MAIL_FROM: z.string().default('Thermidora <no-reply@localhost>').describe('sender of mails'),
  PRICE_PER_HOUR_USD: decimalUsd.default('0.03').describe('price of a running instance'),
  SIGNUP_CREDIT_USD: decimalUsd.default('50').describe('credit of a new account'),
  WEBHOOK_ALLOW_PRIVATE: z.stringbool().default(false).describe('allow http and private webhook targets'),
  TURN_TIMEOUT_MS: z.coerce.number().int().min(1_000).default(1_800_000).describe('how long a turn may run'),
  DATA_DIR: z.string().min(1).default('.thermidora').describe('the folder of what this machine stores'),
  QUARANTINE_DAYS: days.default(7).describe('how long storage that no instance owns is kept in quarantine before it is deleted'),
  ...backupSettings,
  AUDIT_DAYS: days.default(365).describe('how long lines of the audit are kept'),
  MODEL_CALL_DAYS: days.default(400).describe('how long model calls are kept, from which usage is counted in tokens'),
  TOMBSTONE_DAYS: days
    .default(90)
    .describe('how long rows of deleted instances and agents and of revoked keys are kept; those that were billed stay'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info').describe('how much is logged'),
});

interface Derived {
  MAX_RUNNING: number;
  POOL_SIZE: number;
  /** The file of MODEL_UPSTREAM_KEY, where it stands in one: it may be exchanged while the relay runs. */
  modelUpstreamKeyFile: string | undefined;
  /** The environment itself, for Temporal's own names (TLS, API key), which its library reads. */
  temporalEnv: Record<string, string>;
}

type Complete<Settings> = Omit<Settings, 'MAX_RUNNING' | 'POOL_SIZE'> & Derived;

/** All settings, as any process may see them: the keys of providers are in ConfigOf<'relay'> alone. */
export type Config = Omit<Complete<z.infer<typeof settingsSchema>>, 'PROVIDERS'> & Pick<ConfigOf<'api'>, 'PROVIDERS'>;

const OF_SET_UP = { API_DATABASE_URL: true, WORKER_DATABASE_URL: true, RELAY_DATABASE_URL: true } as const;
const OF_PROVIDER = { MODEL_UPSTREAM_URL: true, MODEL_UPSTREAM_KEY: true, RELAY_KEYS: true, PROVIDERS: true } as const;
/** Which kind a provider is of says how gateways call its models; its key is the relay's alone. */
const WITHOUT_KEYS = { PROVIDERS: providerKindsSetting.prefault({}).describe(PROVIDERS_TEXT) };

/** What each process reads. So a secret of another one need not be where it runs. */
export const SETTINGS_OF = {
  api: settingsSchema
    .omit({ ...OF_SET_UP, ...OF_PROVIDER, ...OF_RUNTIME, ...OF_BACKUP, RELAY_MAX_BODY_MB: true })
    .extend(WITHOUT_KEYS),
  worker: settingsSchema
    .omit({ ...OF_SET_UP, ...OF_PROVIDER, OPERATOR_TOKEN: true, SMTP_URL: true, MAIL_FROM: true, TEMPORAL_UI_URL: true })
    .extend(WITHOUT_KEYS),
  relay: settingsSchema
    .pick({ ...OF_PROVIDER, DATABASE_URL: true, RELAY_HOST: true, RELAY_PORT: true, RELAY_MAX_BODY_MB: true })
    .extend(settingsSchema.pick({ METRICS_HOST: true, METRICS_PORT: true, MODELS: true, RUNTIME: true, LOG_LEVEL: true }).shape)
    .extend({ MASTER_KEYS: settingsSchema.shape.MASTER_KEYS.optional() }),
  'set-up': settingsSchema
    .pick({ ...OF_SET_UP, DATABASE_URL: true, DATA_DIR: true, MASTER_KEYS: true, RUNTIME: true })
    .extend(settingsSchema.pick({ TEMPORAL_ADDRESS: true, TEMPORAL_NAMESPACE: true }).shape),
};

export type ConfigOf<Name extends keyof typeof SETTINGS_OF> = Complete<z.infer<(typeof SETTINGS_OF)[Name]>>;

const machine = settingsSchema.pick({ MAX_RUNNING: true, POOL_SIZE: true, RUNTIME: true, INSTANCE_MEMORY_MB: true });

const reach = settingsSchema
  .pick({ RUNTIME: true, RELAY_HOST: true })
  .extend({ KUBERNETES_CONTROL_PLANE: z.array(z.unknown()) })
  .partial();

/** In a container the loopback is the container's own. */
function relayIsWithinReach(settings: object, context: z.RefinementCtx): void {
  // A process that reads no such setting has nothing to do with it.
  if (!('RELAY_HOST' in settings)) return;
  const { RUNTIME, RELAY_HOST = '', KUBERNETES_CONTROL_PLANE } = reach.parse(settings);
  if (RUNTIME === 'kubernetes' && KUBERNETES_CONTROL_PLANE?.length === 0) {
    const message = 'must say where the API and the workers call gateways from, such as 10.1.0.0/16, with RUNTIME=kubernetes';
    context.addIssue({ code: 'custom', path: ['KUBERNETES_CONTROL_PLANE'], message });
  }
  if (RUNTIME === 'process' || RUNTIME === undefined || (isIPv4(RELAY_HOST) && !RELAY_HOST.startsWith('127.'))) return;
  const message = `must be an IPv4 address that containers reach, such as ${DOCKER_BRIDGE}, with RUNTIME=${RUNTIME}`;
  context.addIssue({ code: 'custom', path: ['RELAY_HOST'], message });
}

const catalogue = z
  .object({
    MODELS: z.custom<Config['MODELS']>(),
    PROVIDERS: z.custom<Config['PROVIDERS']>(),
    MODEL_UPSTREAM_URL: z.string(),
  })
  .partial();

/**
 * Each model has providers that there are, all of them called in the same way. Only the relay knows whether there is a
 * MODEL_UPSTREAM_URL; without any provider the echo model answers.
 */
function checkModels(schema: z.ZodType): (settings: object, context: z.RefinementCtx) => void {
  const knowsUpstream = schema instanceof z.ZodObject && 'MODEL_UPSTREAM_URL' in schema.shape;
  return (settings, context) => {
    const { MODELS = {}, PROVIDERS = {}, MODEL_UPSTREAM_URL } = catalogue.parse(settings);
    if (MODEL_UPSTREAM_URL !== undefined && Object.hasOwn(PROVIDERS, DEFAULT_PROVIDER)) {
      const message = `"${DEFAULT_PROVIDER}" is the provider of MODEL_UPSTREAM_URL; remove one of the two`;
      context.addIssue({ code: 'custom', path: ['PROVIDERS'], message });
    }
    const hasDefault = !knowsUpstream || MODEL_UPSTREAM_URL !== undefined || Object.keys(PROVIDERS).length === 0;
    for (const message of modelProblems(MODELS, PROVIDERS, hasDefault))
      context.addIssue({ code: 'custom', path: ['MODELS'], message });
  };
}

type Environment = Record<string, string | undefined>;

/** Reads all settings. Throws ConfigError naming each wrong or missing one. An empty value counts as unset. */
export function loadConfig(env: Environment): Config {
  return loadConfigOf(settingsSchema, env);
}

/** The same for one process: one of SETTINGS_OF. */
export function loadConfigOf<Schema extends z.ZodType<object>>(schema: Schema, env: Environment): Complete<z.infer<Schema>> {
  const given = givenSettings(env);
  if (given['RUNTIME'] === 'docker') given['RELAY_HOST'] ??= DOCKER_BRIDGE;
  // All workers are equally near to what runs in a cluster.
  if (given['RUNTIME'] === 'kubernetes') given['NODE_NAME'] ??= 'kubernetes';
  const parsed = schema.superRefine(relayIsWithinReach).superRefine(checkModels(schema)).safeParse(given);
  if (!parsed.success) throw refusal(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const temporalEnv = Object.fromEntries(Object.entries(given).filter(([name]) => name.startsWith('TEMPORAL_')));
  const modelUpstreamKeyFile = env['MODEL_UPSTREAM_KEY_FILE'] || undefined;
  return { ...parsed.data, ...capacityOf(machine.parse(parsed.data)), modelUpstreamKeyFile, temporalEnv };
}

/** What is not empty of this environment, with what stands in files (`NAME_FILE`) in place of their names. Throws ConfigError. */
export function givenSettings(env: Environment): Record<string, string> {
  const given = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));
  const names = Object.keys(settingsSchema.shape);
  const { read, problems } = readSettingFiles(given, names);
  if (problems.length > 0) throw refusal(problems);
  const files = new Set(names.map((name) => `${name}_FILE`));
  return { ...Object.fromEntries(Object.entries(given).filter(([name]) => !files.has(name))), ...read };
}

function refusal(lines: string[]): ConfigError {
  const named = lines.map((line) => `  ${line}`).join('\n');
  return new ConfigError(`These settings are wrong or missing (see .env.example):\n${named}`);
}
