import type { z } from 'zod';
import { AppError } from '../domain/errors.ts';
import type { ErrorDetail } from '../domain/errors.ts';
import { describeIssue } from './describe-issue.ts';
import type { Operation } from './define-operation.ts';

interface RawInput {
  query: URLSearchParams;
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

/** A parameter that is given twice becomes a list, which no schema of a single value accepts. */
function queryObject(query: URLSearchParams): Record<string, string | string[]> {
  const entries = [...new Set(query.keys())].map((name): [string, string | string[]] => {
    const values = query.getAll(name);
    return [name, values.length === 1 ? (values[0] ?? '') : values];
  });
  return Object.fromEntries(entries);
}

function parsePart(schema: z.ZodType | undefined, value: unknown, name: string, details: ErrorDetail[]): unknown {
  if (!schema) return undefined;
  const parsed = schema.safeParse(value, { error: describeIssue });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues)
    details.push({ path: issue.path.map(String).join('.') || name, message: issue.message });
  return undefined;
}

/** Query and body through their schemas. The error names every field that has to change, after those that are known to. */
export function parseInput(operation: Operation, raw: RawInput, known: readonly ErrorDetail[] = []): Input {
  const details: ErrorDetail[] = [...known];
  for (const [name, value] of raw.query)
    if (value.includes('\0') && Object.hasOwn(operation.query?.shape ?? {}, name))
      details.push({ path: name, message: 'Leave out the character NUL.' });
  const query = parsePart(operation.query, operation.query && queryObject(raw.query), 'query', details);
  const body = parsePart(operation.body, raw.body, 'body', details);
  const [first, ...others] = details;
  if (!first) return { ok: true, query, body };
  const more = others.length === 0 ? '' : ` (and ${others.length} more; see details)`;
  return { ok: false, error: new AppError('invalid_request', `${first.path}: ${first.message}${more}`, { details }) };
}
