import { z } from 'zod';
import { createDocument } from 'zod-openapi';
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi';
import { ERRORS } from '../domain/errors.ts';
import type { Auth } from './actor.ts';
import type { Operation } from './define-operation.ts';
import { errorEnvelope } from './error-envelope.ts';
import { declaredErrors } from './standing-errors.ts';

type Responses = Record<`${1 | 2 | 3 | 4 | 5}${string}`, ZodOpenApiResponseObject>;

const SECURITY: Record<Auth, Record<string, string[]>[]> = {
  public: [],
  account: [{ apiKey: [] }, { token: [] }],
  operator: [{ operatorToken: [] }],
};

const SECURITY_SCHEMES = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key: `tc_live_...`.' },
  token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A token of register or verify.' },
  operatorToken: { type: 'http', scheme: 'bearer', description: 'The `OPERATOR_TOKEN` of this installation.' },
} as const;

const idempotencyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .meta({ description: 'Makes a retry safe: the same key and body answer what the first call answered, for 24 hours.' }),
});

const REQUEST_ID = { 'X-Request-Id': { description: 'The id of this request.', schema: { type: 'string' } } } as const;

/** The OpenAPI 3.1 document of these operations, which are served below the base path. */
export function createOpenapi(operations: readonly Operation[], basePath: string): { openapi: string } {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describeOperation(operation) };
  }
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Thermidora API',
        version: '1',
        summary: 'Launch managed AI agents, send messages and receive events.',
        license: { name: 'UNLICENSED', url: 'https://core.thermidora.com' },
      },
      servers: [{ url: basePath }],
      tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
      paths,
      components: { securitySchemes: SECURITY_SCHEMES },
    },
    { override: simplify },
  );
}

/** A field that an answer gains later must not break a strict client, and the pattern of a time says less than its format. */
function simplify({ jsonSchema, io }: { jsonSchema: Record<string, unknown>; io: 'input' | 'output' }): void {
  if (io === 'output' && jsonSchema['additionalProperties'] === false) delete jsonSchema['additionalProperties'];
  if (jsonSchema['format'] === 'date-time' || jsonSchema['format'] === 'email') delete jsonSchema['pattern'];
}

function describeOperation(operation: Operation): ZodOpenApiOperationObject {
  const { operationId, summary, description, tag, params, query, body } = operation;
  const header = operation.idempotent ? idempotencyHeader : undefined;
  return {
    operationId,
    summary,
    ...(description ? { description } : {}),
    tags: [tag],
    security: SECURITY[operation.auth],
    requestParams: { ...(params ? { path: params } : {}), ...(query ? { query } : {}), ...(header ? { header } : {}) },
    ...(body
      ? { requestBody: { required: !body.safeParse(undefined).success, content: { 'application/json': { schema: body } } } }
      : {}),
    responses: { ...successResponse(operation), ...errorResponses(operation) },
  };
}

function successResponse({ success }: Operation): Responses {
  const declared = Object.fromEntries(
    Object.entries(success.headers ?? {}).map(([name, { description }]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  );
  const stream = success.stream ? { 'text/event-stream': { schema: { type: 'string' as const } } } : {};
  return {
    [`${success.status}`]: {
      description: success.status === 201 ? 'Created.' : 'Done.',
      headers: { ...REQUEST_ID, ...declared },
      content: { 'application/json': { schema: success.schema }, ...stream },
    },
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
      { description: lines.join(' '), headers: REQUEST_ID, content: { 'application/json': { schema: errorEnvelope } } },
    ]),
  );
}
