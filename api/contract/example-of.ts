type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Schema = Record<string, unknown>;

/** What a field of this name says in an example, by its parent's name where that matters: the first that its schema takes. */
const BY_NAME: Readonly<Record<string, readonly Json[]>> = {
  'secrets.key': ['SLACK_TOKEN'],
  'sender.id': ['support-bot'],
  'sender.name': ['Support Bot'],
  'sender.type': ['agent'],
  'statusReason.message': ['The gateway did not start. Start it again.'],
  'error.message': ['The model did not answer.'],
  'error.code': ['model_error'],
  'rows.key': ['inst_a1b2c3d4e5f6g7h8i9j0'],
  'models.id': ['moonshotai.kimi-k2.5'],
  'invites.code': ['inv_a1b2c3d4e5f6g7h8i9j0'],
  action: ['instances.create'],
  actor: ['key:key_a1b2c3d4e5f6g7h8i9j0'],
  address: ['192.0.2.1'],
  amountNanoUsd: ['30000000'],
  amountUsd: ['12.50'],
  apiKey: ['tc_live_7bq3mZ0cV9s1uXkq2yT5fGh8jLw4nRpA6dEiOoCzB1M'],
  auditId: ['aud_a1b2c3d4e5f6g7h8i9j0'],
  balanceNanoUsd: ['50000000000'],
  balanceUsd: [50, '50'],
  billedMs: [3_600_000],
  burnNanoUsdPerHour: ['30000000'],
  chargedNanoUsd: ['30000000'],
  code: ['123456'],
  content: ["Here's what I found..."],
  contextWindow: [256_000],
  creditUsd: [null, '75'],
  description: ['What it is for'],
  disabledReason: [null],
  displayName: ['Support Bot'],
  email: ['user@example.com'],
  entryId: ['txn_a1b2c3d4e5f6g7h8i9j0'],
  error: [null],
  eventType: ['agent.message'],
  grantId: ['txn_a1b2c3d4e5f6g7h8i9j0'],
  inputTokens: [120],
  intervalId: ['int_a1b2c3d4e5f6g7h8i9j0'],
  inviteCode: ['inv_a1b2c3d4e5f6g7h8i9j0'],
  last4: ['zB1M'],
  latencyMs: [1_200],
  maxTokens: [8_192],
  message: ['Hello'],
  messageId: ['msg_a1b2c3d4e5f6g7h8i9j0'],
  model: ['moonshotai.kimi-k2.5'],
  name: ['my-agents'],
  nextCursor: [null],
  openapi: ['3.1.1'],
  outputTokens: [40],
  prefix: ['tc_live_'],
  pricePerHourUsd: ['0.03'],
  reason: ['Sorry for the wait'],
  requestId: ['req_a1b2c3d4e5f6g7h8i9j0'],
  role: ['agent'],
  runtimeId: ['run_a1b2c3d4e5f6g7h8i9j0'],
  runtimeMs: [3_600_000],
  sessionId: ['thread-42', null],
  slug: ['support-bot'],
  status: ['completed', 'active'],
  statusReason: [null],
  step: [null],
  stoppedAt: [null],
  timeoutMs: [120_000],
  token: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY2MifQ.c2lnbmF0dXJl'],
  totalRuntimeMs: [3_600_000],
  transition: [null],
  url: ['https://example.com/hooks/thermidora'],
  workflowId: ['instance/inst_a1b2c3d4e5f6g7h8i9j0'],
};

const BY_FORMAT: Readonly<Record<string, string>> = {
  'date-time': '2026-04-07T09:00:00.000Z',
  email: 'user@example.com',
  uri: 'https://example.com/',
};

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isJson(value: unknown): value is Json {
  return value !== undefined;
}

/** Examples of the schemas of one document: what each says itself, otherwise something that fits and reads well. */
export function createExamples(components: Record<string, unknown>): (schema: unknown) => Json | undefined {
  function resolve(schema: Schema): Schema {
    const { $ref } = schema;
    if (typeof $ref !== 'string') return schema;
    const found = components[$ref.replace('#/components/schemas/', '')];
    if (!isSchema(found)) throw new Error(`the document has no ${$ref}`);
    return found;
  }

  function exampleOf(given: unknown, name: string, parent: string): Json | undefined {
    if (!isSchema(given)) return undefined;
    const schema = resolve(given);
    const stated = [schema['example'], listOf(schema['examples'])[0], schema['default']].find(isJson);
    if (stated !== undefined) return stated;
    const named = (BY_NAME[`${parent}.${name}`] ?? BY_NAME[name] ?? []).find((value) => takes(schema, value));
    if (named !== undefined) return named;
    const fixed = [schema['const'], ...listOf(schema['enum'])].find(isJson);
    if (fixed !== undefined) return fixed;
    const options = listOf(schema['anyOf'] ?? schema['oneOf']);
    if (options.length > 0) return shortest(options.map((option) => exampleOf(option, name, parent)));
    return ofType(schema, name, parent);
  }

  function ofType(schema: Schema, name: string, parent: string): Json | undefined {
    switch (listOf(schema['type'])[0]) {
      case 'object':
        return ofObject(schema, name);
      case 'array': {
        const item = exampleOf(schema['items'], name, parent);
        return item === undefined ? [] : [item];
      }
      case 'string':
        return ofString(schema, name);
      case 'integer':
      case 'number':
        return ofNumber(schema);
      case 'boolean':
        return true;
      case 'null':
        return null;
      default:
        return undefined;
    }
  }

  function ofObject({ properties, required }: Schema, parent: string): Json {
    const isUnusual = (name: string, schema: unknown) =>
      !listOf(required).includes(name) && isSchema(schema) && schema['const'] === true;
    const fields = Object.entries(isSchema(properties) ? properties : {}).filter(([name, schema]) => !isUnusual(name, schema));
    const entries = fields.map(([name, schema]) => [name, exampleOf(schema, name, parent)] as const);
    return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
  }

  /** Whether a value is of the type, the values and the form that a schema asks for. */
  function takes(given: Schema, value: Json): boolean {
    const schema = resolve(given);
    const options = listOf(schema['anyOf'] ?? schema['oneOf']);
    if (options.length > 0) return options.some((option) => isSchema(option) && takes(option, value));
    if ('const' in schema) return schema['const'] === value;
    if ('enum' in schema) return listOf(schema['enum']).includes(value);
    if (typeof value === 'string' && typeof schema['pattern'] === 'string' && !new RegExp(schema['pattern'], 'u').test(value))
      return false;
    const types = listOf(schema['type']);
    return types.includes(value === null ? 'null' : typeof value) || (Number.isInteger(value) && types.includes('integer'));
  }

  return (schema) => exampleOf(schema, '', '');
}

function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined ? [] : [value];
}

/** Of several alternatives, the one with the smallest example. */
function shortest(examples: readonly (Json | undefined)[]): Json | undefined {
  const known = examples.filter(isJson);
  const lengthOf = (value: Json) => (value === null ? Number.POSITIVE_INFINITY : JSON.stringify(value).length);
  return known.toSorted((a, b) => lengthOf(a) - lengthOf(b))[0];
}

function ofString({ format, minLength }: Schema, name: string): string {
  const formatted = typeof format === 'string' ? BY_FORMAT[format] : undefined;
  return formatted ?? (name === '' ? 'text' : name).padEnd(typeof minLength === 'number' ? minLength : 0, '.');
}

function ofNumber({ minimum, exclusiveMinimum }: Schema): number {
  if (typeof exclusiveMinimum === 'number') return Math.max(0, exclusiveMinimum + 1);
  return typeof minimum === 'number' ? Math.max(1, minimum) : 1;
}
