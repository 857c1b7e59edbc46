import { z } from 'zod';
import { createDocument } from 'zod-openapi';
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi';
import { ERRORS } from '../../domain/errors.ts';
import type { Operation } from './define-operation.ts';
import { errorEnvelope } from '../http/error-envelope.ts';
import type { ErrorEnvelope } from '../http/error-envelope.ts';
import { createExamples } from './example-of.ts';
import { IDEMPOTENCY_KEY } from '../security/idempotency.ts';
import { declaredErrors } from '../http/standing-errors.ts';

type Responses = Record<`${1 | 2 | 3 | 4 | 5}${string}`, ZodOpenApiResponseObject>;

/** The scope stands with the key, as OpenAPI has it for what is required beside a credential. */
function securityOf({ auth, scope }: Operation): Record<string, string[]>[] {
  if (auth === 'public') return [];
  if (auth === 'operator') return [{ operatorToken: [] }];
  return [{ apiKey: scope ? [scope] : [] }, { token: [] }];
}

const SECURITY_SCHEMES = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key, such as `tc_live_...`.' },
  token: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A token from `POST /auth/register` or `POST /auth/verify`.',
  },
  operatorToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'The value of the setting `OPERATOR_TOKEN` of this installation.',
  },
} as const;

const idempotencyHeader = z.object({
  'Idempotency-Key': z.string().min(1).max(255).regex(IDEMPOTENCY_KEY).optional().meta({
    description:
      'Makes retries safe: for 24 hours, a request with the same key and body returns the response of the first request.',
  }),
});

const HEADERS = {
  'X-Request-Id': { description: 'The id of this request.', schema: { type: 'string' } },
  'RateLimit-Limit': { description: 'The maximum number of requests per minute.', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'The number of requests left at the moment.', schema: { type: 'integer' } },
  'RateLimit-Reset': {
    description: 'The number of seconds until the full limit is available again.',
    schema: { type: 'integer' },
  },
  'Retry-After': { description: 'The number of seconds to wait before the next request.', schema: { type: 'integer' } },
  'Idempotent-Replayed': {
    description: '`true` when the response is that of an earlier request with the same `Idempotency-Key`.',
    schema: { type: 'string' },
  },
} as const;

function headers(...names: (keyof typeof HEADERS)[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` } as const]));
}

const RATE_LIMIT = headers('RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset');

/** The statuses that may say when to try again. */
const WAITING = new Set([409, 429, 503]);

const bytesOf = (mediaType: string) => ({ [mediaType]: { schema: { type: 'string' as const, format: 'binary' } } });

const REQUEST_ID = headers('X-Request-Id');

/** The OpenAPI 3.1 document of these operations, which are served below the base path. */
export function createOpenapi(operations: readonly Operation[], basePath: string): { openapi: string } {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describeOperation(operation) };
  }
  const document = createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Thermidora API',
        version: '1',
        summary: 'Launch managed AI agents, send messages and receive events.',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      servers: [{ url: basePath }],
      tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
      paths,
      components: { securitySchemes: SECURITY_SCHEMES, headers: HEADERS },
    },
    { override: simplify },
  );
  addExamples(document);
  return document;
}

/** Each JSON body gets an example, which the tests hold against its schema. */
function addExamples(document: ReturnType<typeof createDocument>): void {
  const exampleOf = createExamples({ ...document.components?.schemas });
  for (const item of Object.values(document.paths ?? {}))
    for (const operation of [item.get, item.post, item.put, item.patch, item.delete]) {
      if (!operation) continue;
      addExample(operation.requestBody, exampleOf);
      for (const response of Object.values<unknown>(operation.responses ?? {})) addExample(response, exampleOf);
    }
}

const withJson = z.looseObject({
  content: z.looseObject({ 'application/json': z.looseObject({ schema: z.unknown(), example: z.unknown().optional() }) }),
});

function addExample(body: unknown, exampleOf: ReturnType<typeof createExamples>): void {
  if (!isBodyWithJson(body)) return;
  const json = body.content['application/json'];
  json.example ??= exampleOf(json.schema);
}

function isBodyWithJson(body: unknown): body is z.infer<typeof withJson> {
  return withJson.safeParse(body).success;
}

/** Lets answers gain fields without breaking strict clients, and leaves out patterns that say less than the format. */
function simplify({ jsonSchema, io }: { jsonSchema: Record<string, unknown>; io: 'input' | 'output' }): void {
  if (io === 'output' && jsonSchema['additionalProperties'] === false) delete jsonSchema['additionalProperties'];
  if (jsonSchema['format'] === 'date-time' || jsonSchema['format'] === 'email') delete jsonSchema['pattern'];
}

function describeOperation(operation: Operation): ZodOpenApiOperationObject {
  const { operationId, summary, tag, params, query, body } = operation;
  const header = operation.idempotent ? idempotencyHeader : undefined;
  return {
    operationId,
    summary,
    ...describe(operation),
    tags: [tag],
    security: securityOf(operation),
    requestParams: { ...(params ? { path: params } : {}), ...(query ? { query } : {}), ...(header ? { header } : {}) },
    ...(operation.upload ? { requestBody: { required: false, content: bytesOf('application/octet-stream') } } : {}),
    ...(body
      ? { requestBody: { required: !body.safeParse(undefined).success, content: { 'application/json': { schema: body } } } }
      : {}),
    responses: { ...successResponse(operation), ...errorResponses(operation) },
  };
}

function describe({ description, scope }: Operation): { description?: string } {
  const scopeLine = scope && `An API key needs the scope \`${scope}\`.`;
  const text = [description, scopeLine].filter((part) => part !== undefined).join(' ');
  return text ? { description: text } : {};
}

function limitHeaders({ rateLimit }: Operation) {
  return rateLimit === 'none' ? {} : RATE_LIMIT;
}

function successResponse(operation: Operation): Responses {
  const { success, idempotent } = operation;
  const declared = Object.fromEntries(
    Object.entries(success.headers ?? {}).map(([name, { description }]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  );
  const stream = success.stream ? { 'text/event-stream': { schema: { type: 'string' as const } } } : {};
  const standing = { ...REQUEST_ID, ...limitHeaders(operation), ...(idempotent ? headers('Idempotent-Replayed') : {}) };
  const json = { 'application/json': { schema: success.schema } };
  const accepted = {
    description: 'The request was accepted. `Location` is the path of its result.',
    headers: { ...standing, Location: { description: 'The path of the result.', schema: { type: 'string' as const } } },
    content: json,
  };
  return {
    [`${success.status}`]: {
      description: success.status === 201 ? 'The resource was created.' : 'The request succeeded.',
      headers: { ...standing, ...declared },
      content: success.file ? bytesOf(success.file.mediaType) : success.stream === 'only' ? stream : { ...json, ...stream },
    },
    ...(success.file?.hasParts
      ? {
          '206': {
            description: 'The part of the file that `Range` asks for.',
            headers: standing,
            content: bytesOf(success.file.mediaType),
          },
          '304': { description: 'The file is in one of the states that `If-None-Match` names.', headers: standing },
        }
      : {}),
    ...(success.accepts ? { '202': accepted } : {}),
  };
}

function errorResponses(operation: Operation): Responses {
  const byStatus = new Map<number, string[]>();
  for (const code of declaredErrors(operation)) {
    const { status, title } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}.`]);
  }
  const sorted = [...byStatus].toSorted(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, lines]) => [
      `${status}`,
      {
        description: lines.join(' '),
        headers: {
          ...REQUEST_ID,
          ...(status === 401 ? {} : limitHeaders(operation)),
          ...(WAITING.has(status) ? headers('Retry-After') : {}),
        },
        content: { 'application/json': { schema: errorEnvelope, example: errorExample(operation, status) } },
      },
    ]),
  );
}

function errorExample(operation: Operation, status: number): ErrorEnvelope {
  const code = [...declaredErrors(operation)].find((one) => ERRORS[one].status === status) ?? 'internal_error';
  const { title, retryable } = ERRORS[code];
  return { error: { code, message: `${title}.`, status, requestId: 'req_a1b2c3d4e5f6g7h8i9j0', retryable } };
}
