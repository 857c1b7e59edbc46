import { z } from 'zod';

const reference = z.looseObject({ $ref: z.string() });
const property = z.looseObject({ type: z.unknown().optional(), items: z.unknown().optional() });
const schema = z.looseObject({ $ref: z.string().optional(), properties: z.record(z.string(), property).optional() });
const content = z.record(z.string(), z.looseObject({ schema: schema.optional() }));
const parameter = z.looseObject({ name: z.string(), in: z.string(), required: z.boolean().optional() });
const operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  description: z.string().optional(),
  tags: z.array(z.string()),
  parameters: z.array(parameter).default([]),
  requestBody: z.looseObject({ required: z.boolean().default(false), content }).optional(),
  responses: z.record(z.string(), z.looseObject({ content: content.optional() })),
});
const document = z.looseObject({ paths: z.record(z.string(), z.record(z.string(), operation)) });

type OperationObject = z.infer<typeof operation>;

/**
 * What a call answers. `page`: a part of a list, whose next part is asked for with the field `next` as the parameter `cursor`;
 * `itemSchemas` names the schemas that an item has, none where it is described in place.
 */
export type SdkAnswer =
  | { kind: 'json'; schemaName: string | null }
  | { kind: 'page'; items: string; itemSchemas: readonly string[]; cursor: string; next: string }
  | { kind: 'raw' };

/** An operation of the document, as the client libraries need it. */
export interface SdkOperation {
  operationId: string;
  /** Where its method is: `['webhooks', 'deliveries', 'list']`. What operators call is below `operator`. */
  place: readonly string[];
  method: string;
  /** With `{name}` for parameters. */
  path: string;
  pathParams: readonly string[];
  body: 'none' | 'optional' | 'required' | 'raw';
  query: 'none' | 'optional' | 'required';
  /** It takes an Idempotency-Key. */
  takesKey: boolean;
  answer: SdkAnswer;
  /** Summary and description. */
  text: string;
}

/** Their methods are written by hand in each client library: server-sent events. */
const WRITTEN_BY_HAND = new Set(['events.stream', 'instances.stream', 'messages.stream']);
/** The document describes this call, not what a client does with it. */
const LEFT_OUT = new Set(['meta.openapi']);

/** The operations of this OpenAPI document whose methods are generated. Throws for one that is a stream and not known here. */
export function readOperations(openapi: unknown): SdkOperation[] {
  const found: SdkOperation[] = [];
  for (const [path, item] of Object.entries(document.parse(openapi).paths))
    for (const [method, one] of Object.entries(item)) {
      if (WRITTEN_BY_HAND.has(one.operationId) || LEFT_OUT.has(one.operationId)) continue;
      found.push(readOperation(method.toUpperCase(), path, one));
    }
  return found;
}

function readOperation(method: string, path: string, one: OperationObject): SdkOperation {
  const { operationId, summary, description, tags, parameters } = one;
  const names = operationId.split('.');
  const query = parameters.filter((given) => given.in === 'query');
  return {
    operationId,
    place: tags.includes('operator') && names[0] !== 'operator' ? ['operator', ...names] : names,
    method,
    path,
    pathParams: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
    body: bodyOf(one),
    query: query.length === 0 ? 'none' : query.some(({ required }) => required) ? 'required' : 'optional',
    takesKey: parameters.some(({ name }) => name === 'Idempotency-Key'),
    answer: answerOf(
      one,
      query.map(({ name }) => name),
    ),
    text: [`${summary}.`, ...(description === undefined ? [] : [description])].join('\n\n'),
  };
}

function bodyOf({ requestBody }: OperationObject): SdkOperation['body'] {
  if (!requestBody) return 'none';
  if (!('application/json' in requestBody.content)) return 'raw';
  return requestBody.required ? 'required' : 'optional';
}

function answerOf({ operationId, responses }: OperationObject, query: readonly string[]): SdkAnswer {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const answered = success?.content ?? {};
  const json = answered['application/json']?.schema;
  if (!json && 'text/event-stream' in answered)
    throw new Error(
      `${operationId} answers server-sent events: write its method by hand, and name it in ${import.meta.filename}.`,
    );
  if (!json) return { kind: 'raw' };
  const properties = Object.entries(json.properties ?? {});
  const [list, ...others] = properties.filter(([, { type }]) => type === 'array');
  const [cursor, next] = query.includes('cursor') ? ['cursor', 'nextCursor'] : ['after', 'nextAfter'];
  const isPage = query.includes(cursor) && properties.some(([name]) => name === next);
  if (isPage && list && others.length === 0)
    return { kind: 'page', items: list[0], itemSchemas: referencesOf(list[1].items), cursor, next };
  return { kind: 'json', schemaName: json.$ref === undefined ? null : nameOf(json.$ref) };
}

const nameOf = (ref: string): string => ref.split('/').at(-1) ?? '';

function referencesOf(given: unknown): string[] {
  const one = reference.safeParse(given).data;
  if (one) return [nameOf(one.$ref)];
  const several = z.looseObject({ anyOf: z.array(reference) }).safeParse(given).data;
  return several?.anyOf.map(({ $ref }) => nameOf($ref)) ?? [];
}

/** Methods of one place, and the places below it. */
export interface Resource {
  operations: SdkOperation[];
  children: Map<string, Resource>;
}

/** The operations as a tree by their places: each is a method of the resource that its place names. */
export function resourceTree(operations: readonly SdkOperation[]): Resource {
  const root: Resource = { operations: [], children: new Map() };
  for (const one of operations) {
    let at = root;
    for (const name of one.place.slice(0, -1)) {
      const child = at.children.get(name) ?? { operations: [], children: new Map() };
      at.children.set(name, child);
      at = child;
    }
    at.operations.push(one);
  }
  return root;
}
