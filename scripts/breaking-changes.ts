import { z } from 'zod';

type Node = Record<string, unknown>;
type Side = 'request' | 'answer';

const METHODS = ['get', 'post', 'patch', 'put', 'delete'];
/** A smaller or larger bound that refuses what was accepted. */
const BOUNDS = [
  ['maxLength', 'lower'],
  ['maximum', 'lower'],
  ['maxItems', 'lower'],
  ['minLength', 'higher'],
  ['minimum', 'higher'],
  ['minItems', 'higher'],
] as const;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nodeAt(value: unknown, ...path: string[]): Node {
  let node: unknown = value;
  for (const name of path) node = isNode(node) ? node[name] : undefined;
  return isNode(node) ? node : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}

/**
 * What of an OpenAPI document a client of the earlier one would stumble over: sentences, none when the change only adds.
 * New values of an enumeration in an answer count as an addition.
 */
export function breakingChanges(before: unknown, after: unknown): string[] {
  return new Comparison(before, after).run();
}

class Comparison {
  readonly #before: unknown;
  readonly #after: unknown;
  readonly #found: string[] = [];
  readonly #compared = new Set<string>();

  constructor(before: unknown, after: unknown) {
    this.#before = before;
    this.#after = after;
  }

  run(): string[] {
    for (const [path, item] of Object.entries(nodeAt(this.#before, 'paths'))) {
      const next = nodeAt(this.#after, 'paths')[path];
      if (!isNode(next)) this.#found.push(`${path} is gone`);
      else
        for (const method of METHODS)
          if (isNode(nodeAt(item)[method]))
            this.#operation(`${method.toUpperCase()} ${path}`, nodeAt(item, method), next[method]);
    }
    return this.#found;
  }

  #operation(name: string, before: Node, after: unknown): void {
    if (!isNode(after)) return void this.#found.push(`${name} is gone`);
    if (asksForOther(before['security'], after['security'])) this.#found.push(`${name} asks for other credentials`);
    this.#parameters(name, before, after);
    this.#body(name, nodeAt(before, 'requestBody'), nodeAt(after, 'requestBody'));
    for (const [status, answer] of Object.entries(nodeAt(before, 'responses'))) {
      const next = nodeAt(after, 'responses')[status];
      if (!isNode(next)) {
        this.#found.push(`${name} answers no ${status} any more`);
        continue;
      }
      for (const [type, content] of Object.entries(nodeAt(answer, 'content'))) {
        if (!isNode(nodeAt(next, 'content')[type])) this.#found.push(`${name} answers ${status} without ${type}`);
        else this.#schema(`${name} ${status}`, nodeAt(content, 'schema'), nodeAt(next, 'content', type, 'schema'), 'answer');
      }
      for (const header of Object.keys(nodeAt(answer, 'headers')))
        if (!isNode(nodeAt(next, 'headers')[header])) this.#found.push(`${name} ${status} has no header ${header} any more`);
    }
  }

  #parameters(name: string, before: Node, after: Node): void {
    const named = (operation: Node) =>
      new Map(
        listOf(operation['parameters'])
          .filter(isNode)
          .map((one) => [`${String(one['in'])} ${String(one['name'])}`, one]),
      );
    const [old, next] = [named(before), named(after)];
    for (const [parameter, description] of old) {
      const same = next.get(parameter);
      if (!same) this.#found.push(`${name} takes no ${parameter} any more`);
      else this.#schema(`${name} ${parameter}`, nodeAt(description, 'schema'), nodeAt(same, 'schema'), 'request');
    }
    for (const [parameter, { required }] of next)
      if (required === true && old.get(parameter)?.['required'] !== true) this.#found.push(`${name} requires ${parameter}`);
  }

  #body(name: string, before: Node, after: Node): void {
    const json = (body: Node) => nodeAt(body, 'content', 'application/json');
    if (after['required'] === true && before['required'] !== true) this.#found.push(`${name} requires a body`);
    if ('schema' in json(before))
      this.#schema(`${name} body`, nodeAt(json(before), 'schema'), nodeAt(json(after), 'schema'), 'request');
  }

  #schema(where: string, givenBefore: Node, givenAfter: Node, side: Side): void {
    const pair = `${String(givenBefore['$ref'])}|${String(givenAfter['$ref'])}|${side}`;
    if (givenBefore['$ref'] !== undefined && givenAfter['$ref'] !== undefined) {
      if (this.#compared.has(pair)) return;
      this.#compared.add(pair);
    }
    const before = resolve(this.#before, givenBefore);
    const after = resolve(this.#after, givenAfter);
    this.#types(where, before, after, side);
    if (side === 'request') this.#bounds(where, before, after);
    this.#properties(where, before, after, side);
    if (isNode(before['items'])) this.#schema(`${where}[]`, before['items'], nodeAt(after, 'items'), side);
    const options = [before, after].map((schema) => listOf(schema['anyOf'] ?? schema['oneOf']));
    options[0]?.forEach((option, index) => {
      const same = options[1]?.[index];
      if (isNode(option) && isNode(same)) this.#schema(where, option, same, side);
      else if (isNode(option)) this.#found.push(`${where} has fewer forms`);
    });
  }

  #types(where: string, before: Node, after: Node, side: Side): void {
    const [old, next] = [listOf(before['type']), listOf(after['type'])];
    const lost = side === 'request' ? old.filter((type) => !next.includes(type)) : next.filter((type) => !old.includes(type));
    if (old.length > 0 && (next.length === 0 || lost.length > 0))
      this.#found.push(`${where} is ${next.join(' or ') || 'anything'}, not ${old.join(' or ')}`);
    if (before['format'] !== after['format'] && (side === 'answer' || after['format'] !== undefined))
      this.#found.push(`${where} has another format`);
    const [values, kept] = [listOf(before['enum'] ?? before['const']), listOf(after['enum'] ?? after['const'])];
    if (values.length > 0 && side === 'request' && kept.length > 0)
      for (const value of values) if (!kept.includes(value)) this.#found.push(`${where} does not take ${String(value)} any more`);
    if (values.length === 0 && kept.length > 0 && side === 'request') this.#found.push(`${where} takes certain values only`);
  }

  #bounds(where: string, before: Node, after: Node): void {
    for (const [bound, worse] of BOUNDS) {
      const [old, next] = [before[bound], after[bound]];
      if (typeof next !== 'number') continue;
      const isTighter = typeof old !== 'number' || (worse === 'lower' ? next < old : next > old);
      if (isTighter) this.#found.push(`${where} has a tighter ${bound}`);
    }
    if (after['pattern'] !== undefined && after['pattern'] !== before['pattern'])
      this.#found.push(`${where} has another pattern`);
  }

  #properties(where: string, before: Node, after: Node, side: Side): void {
    const [old, next] = [nodeAt(before, 'properties'), nodeAt(after, 'properties')];
    for (const [name, schema] of Object.entries(old)) {
      if (!isNode(next[name])) this.#found.push(`${where} has no ${name} any more`);
      else this.#schema(`${where}.${name}`, nodeAt(schema), next[name], side);
    }
    const [was, is] = [listOf(before['required']), listOf(after['required'])];
    if (side === 'request') for (const name of is) if (!was.includes(name)) this.#found.push(`${where} requires ${String(name)}`);
    if (side === 'answer')
      for (const name of was)
        if (!is.includes(name) && isNode(next[String(name)])) this.#found.push(`${where} may lack ${String(name)}`);
  }
}

function resolve(document: unknown, schema: Node): Node {
  const { $ref } = schema;
  return typeof $ref === 'string' ? nodeAt(document, ...$ref.replace('#/', '').split('/')) : schema;
}

/** The `security` of an operation. An operation without it needs no credentials. */
const securitySchema = z.array(z.record(z.string(), z.array(z.string()))).default([]);

/** Keys that were made before operations had scopes have all of them, so a first scope takes nothing away. */
function asksForOther(before: unknown, after: unknown): boolean {
  const [was, is] = [securitySchema.parse(before), securitySchema.parse(after)];
  const names = (requirements: typeof was) => requirements.map((one) => Object.keys(one));
  if (JSON.stringify(names(was)) !== JSON.stringify(names(is))) return true;
  return was.some((one, index) =>
    Object.entries(one).some(
      ([name, scopes]) => scopes.length > 0 && JSON.stringify(scopes) !== JSON.stringify(is[index]?.[name]),
    ),
  );
}
