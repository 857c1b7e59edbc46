import { z } from 'zod';
import { pascalCase } from './names.ts';

const node = z.record(z.string(), z.unknown());
type Node = z.infer<typeof node>;

const isNode = (value: unknown): value is Node => node.safeParse(value).success;
const nodeOf = (value: unknown): Node => (isNode(value) ? value : {});

/** Keywords that say nothing about a type, or that client libraries have no separate type for. */
const DROPPED = new Set(['example', 'examples', 'headers', 'pattern', 'propertyNames']);

/** The document with what types are made of: no examples, no errors but their schema, no headers. */
export function leanDocument(openapi: unknown): Node {
  const document = nodeOf(without(openapi));
  const paths = Object.entries(nodeOf(document['paths'])).map(([path, item]) => [
    path,
    Object.fromEntries(Object.entries(nodeOf(item)).map(([method, one]) => [method, leanOperation(nodeOf(one))])),
  ]);
  const { schemas } = nodeOf(document['components']);
  const { openapi: version, info } = document;
  return { openapi: version, info, paths: Object.fromEntries(paths), components: { schemas } };
}

function leanOperation(operation: Node): Node {
  const responses = Object.entries(nodeOf(operation['responses'])).filter(([status]) => status.startsWith('2'));
  const parameters = Array.isArray(operation['parameters']) ? operation['parameters'] : [];
  const { security: _, tags: _tags, ...rest } = operation;
  return {
    ...rest,
    parameters: parameters.filter((parameter) => nodeOf(parameter)['in'] !== 'header'),
    responses: Object.fromEntries(responses),
  };
}

/** A property may be called like a keyword, so the names of properties are kept whatever they are. */
function without(value: unknown, isProperties = false): unknown {
  if (Array.isArray(value)) return value.map((one) => without(one));
  if (!isNode(value)) return value;
  const kept = Object.entries(value).filter(([key]) => isProperties || !DROPPED.has(key));
  return Object.fromEntries(kept.map(([key, one]) => [key, without(one, key === 'properties' && !isProperties)]));
}

/**
 * The lean document for a generator that names classes: operation ids without dots, and each object within another schema
 * with a title of its place, so that the schemas of the document keep their names.
 */
export function titledDocument(lean: Node): Node {
  const titled = nodeOf(structuredClone(lean));
  for (const item of Object.values(nodeOf(titled['paths'])))
    for (const one of Object.values(nodeOf(item))) {
      const operation = nodeOf(one);
      const name = pascalCase(String(operation['operationId']));
      operation['operationId'] = String(operation['operationId']).replaceAll('.', '_');
      for (const schema of jsonSchemas(nodeOf(operation['requestBody']))) addTitles(schema, `${name}Request`, true);
      for (const response of Object.values(nodeOf(operation['responses'])))
        for (const schema of jsonSchemas(nodeOf(response))) addTitles(schema, `${name}Response`, true);
    }
  for (const [name, schema] of Object.entries(nodeOf(nodeOf(titled['components'])['schemas']))) addTitles(schema, name, true);
  return titled;
}

function jsonSchemas(body: Node): unknown[] {
  return Object.values(nodeOf(body['content'])).map((media) => nodeOf(media)['schema']);
}

function addTitles(schema: unknown, name: string, isTop = false): void {
  if (!isNode(schema)) return;
  if (!isTop && schema['properties']) schema['title'] = name;
  for (const [property, one] of Object.entries(nodeOf(schema['properties']))) addTitles(one, `${name}${pascalCase(property)}`);
  addTitles(schema['items'], `${name}Item`);
  addTitles(schema['additionalProperties'], `${name}Value`);
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    const options = schema[key];
    if (!Array.isArray(options)) continue;
    const objects = options.filter((one) => isNode(one) && one['properties']);
    for (const [index, one] of objects.entries()) addTitles(one, objects.length > 1 ? `${name}${index + 1}` : name);
    for (const one of options) if (!objects.includes(one)) addTitles(one, name);
  }
}
