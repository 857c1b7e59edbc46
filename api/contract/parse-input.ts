import type { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import type { ErrorDetail } from '../../domain/errors.ts';
import { describeIssue } from './describe-issue.ts';
import type { Operation } from './define-operation.ts';
import { invalidRequest } from './invalid-request.ts';
import { unstorableProblem } from '../http/unstorable-text.ts';

interface RawInput {
  /** The part of the target after the question mark, as it came. */
  query: string;
  body: unknown;
}

type Input = { ok: true; query: unknown; body: unknown } | { ok: false; error: AppError };

/** The parameters of the path. One that cannot name anything is `not_found`, as if it named nothing. */
export function parseParams(operation: Operation, params: unknown): unknown {
  if (!operation.params) return undefined;
  const parsed = operation.params.safeParse(params);
  if (parsed.success) return parsed.data;
  const name = String(parsed.error.issues[0]?.path[0] ?? '');
  throw new AppError('not_found', notFoundMessage(name));
}

/** "Instance not found" of `instanceId`. */
function notFoundMessage(parameter: string): string {
  const resource = parameter.replace(/Id$/, '');
  return `${resource.charAt(0).toUpperCase()}${resource.slice(1)} not found`;
}

type QueryValue = string | string[] | Map<string, string | string[]>;

/**
 * A parameter that is given twice becomes a list, which no schema of a single value accepts. `name[key]=value` is a pair of the
 * parameter `name`, where the operation has one.
 */
function queryObject(operation: Operation, query: URLSearchParams): Record<string, unknown> {
  const entries = new Map<string, QueryValue>();
  for (const given of new Set(query.keys())) {
    const values = query.getAll(given);
    const value = values.length === 1 ? (values[0] ?? '') : values;
    const { name, key } = parameterOf(operation, given);
    const pairs = entries.get(name);
    if (key === undefined) entries.set(name, value);
    else if (pairs instanceof Map) pairs.set(key, value);
    else entries.set(name, new Map([[key, value]]));
  }
  return Object.fromEntries(
    [...entries].map(([name, value]) => [name, value instanceof Map ? Object.fromEntries(value) : value]),
  );
}

/** Which parameter a name in the query means, and which pair of it. */
function parameterOf(operation: Operation, given: string): { name: string; key?: string } {
  const [, name = '', key = ''] = /^(\w+)\[(.*)\]$/s.exec(given) ?? [];
  return Object.hasOwn(operation.query?.shape ?? {}, name) ? { name, key } : { name: given };
}

function parsePart(schema: z.ZodType | undefined, value: unknown, name: string, details: ErrorDetail[]): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value, { error: describeIssue });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues)
    details.push({ path: issue.path.map(String).join('.') || name, message: issue.message });
  return undefined;
}

/** What is wrong with the bytes of parameters that the operation reads. */
function undecodable(operation: Operation, given: URLSearchParams, raw: string): ErrorDetail[] {
  // Decoding puts this character in the place of bytes that are not UTF-8; the client did not send it.
  const isReplaced = (value: string) => value.includes('\uFFFD') && !/%EF%BF%BD/i.test(raw);
  return [...given].flatMap(([path, value]) => {
    if (!Object.hasOwn(operation.query?.shape ?? {}, parameterOf(operation, path).name)) return [];
    const message = isReplaced(path + value) ? 'Encode it as UTF-8.' : unstorableProblem(path + value);
    return message === null ? [] : [{ path, message }];
  });
}

/** Query and body through their schemas. The error names every field that has to change, after those that are known to. */
export function parseInput(operation: Operation, raw: RawInput, known: readonly ErrorDetail[] = []): Input {
  const given = new URLSearchParams(raw.query);
  const details = [...known, ...undecodable(operation, given, raw.query)];
  const query = parsePart(operation.query, operation.query && queryObject(operation, given), 'query', details);
  const body = parsePart(operation.body, raw.body, 'body', details);
  return details.length === 0 ? { ok: true, query, body } : { ok: false, error: invalidRequest(details) };
}
