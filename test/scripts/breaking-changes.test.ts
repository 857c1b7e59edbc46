import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { breakingChanges } from '../../scripts/breaking-changes.ts';

const text = readFileSync(join(import.meta.dirname, '../../openapi.json'), 'utf8');
// The tests change it in ways that no type of a document would allow.
// oxlint-disable-next-line typescript/no-explicit-any -- boundary: a document of any shape
type Any = any;
const parse = (): Any => JSON.parse(text);

/** What breaks when the document is changed like this. */
function broken(change: (document: Any) => void): string[] {
  const changed = parse();
  change(changed);
  return breakingChanges(parse(), changed);
}

const CREATE = '/instances';
const instance = (document: Any) => document.components.schemas.Instance;
const body = (document: Any, path: string, method = 'post') =>
  document.paths[path][method].requestBody.content['application/json'].schema;

const BREAKING: [what: string, change: (document: Any) => void, sentence: string][] = [
  ['a removed path', (d) => delete d.paths[CREATE], '/instances is gone'],
  ['a removed method', (d) => delete d.paths[CREATE].post, 'POST /instances is gone'],
  ['a removed status', (d) => delete d.paths[CREATE].post.responses[201], 'POST /instances answers no 201 any more'],
  [
    'a removed header',
    (d) => delete d.paths[CREATE].post.responses[201].headers.Location,
    'POST /instances 201 has no header Location any more',
  ],
  ['a removed field of an answer', (d) => delete instance(d).properties.billedMs, 'has no billedMs any more'],
  ['a field of an answer that may be missing', (d) => void (instance(d).required = []), 'may lack name'],
  ['another type of a field', (d) => void (instance(d).properties.name.type = 'number'), 'is number, not string'],
  [
    'a field that may be null now',
    (d) => void (instance(d).properties.name.type = ['string', 'null']),
    'is string or null, not string',
  ],
  ['a new required field', (d) => void body(d, CREATE).required.push('region'), 'POST /instances body requires region'],
  [
    'a field that is not taken any more',
    (d) => delete body(d, CREATE).properties.name,
    'POST /instances body has no name any more',
  ],
  ['a tighter bound', (d) => void (body(d, CREATE).properties.name.maxLength = 8), 'has a tighter maxLength'],
  ['a new pattern', (d) => void (body(d, CREATE).properties.name.pattern = '^a'), 'has another pattern'],
  [
    'a parameter that is not taken any more',
    (d) => void (d.paths[CREATE].get.parameters = []),
    'GET /instances takes no query limit any more',
  ],
  [
    'a required parameter',
    (d) => void d.paths[CREATE].get.parameters.push({ in: 'query', name: 'x', required: true, schema: {} }),
    'requires query x',
  ],
  [
    'other credentials',
    (d) => void (d.paths['/models'].get.security = [{ other: [] }]),
    'GET /models asks for other credentials',
  ],
  [
    'another scope of a key',
    (d) => void (d.paths['/models'].get.security[0].apiKey = ['write']),
    'GET /models asks for other credentials',
  ],
];

test.each(BREAKING)('%s breaks', (_what, change, sentence) => {
  expect(broken(change).join('\n')).toMatch(new RegExp(sentence));
});

const ADDITIVE: [what: string, change: (document: Any) => void][] = [
  ['nothing', () => {}],
  ['a new path', (d) => void (d.paths['/regions'] = { get: {} })],
  ['a new method', (d) => void (d.paths['/models'].post = {})],
  ['a new field of an answer', (d) => void (instance(d).properties.region = { type: 'string' })],
  ['a new optional field', (d) => void (body(d, CREATE).properties.region = { type: 'string' })],
  ['a new optional parameter', (d) => void d.paths[CREATE].get.parameters.push({ in: 'query', name: 'x', schema: {} })],
  ['a new status', (d) => void (d.paths[CREATE].post.responses[418] = {})],
  ['a looser bound', (d) => void (body(d, CREATE).properties.name.maxLength = 800)],
  ['other words', (d) => void (d.paths[CREATE].post.summary = 'x')],
];

test.each(ADDITIVE)('%s does not break', (_what, change) => {
  expect(broken(change)).toEqual([]);
});
