import { encoderOf, pascalCase, snakeCase, wrapText } from './names.ts';
import type { Resource, SdkOperation } from './read-operations.ts';

const HEAD = `# Written by \`npm run sdk\` from openapi.json. Do not change it by hand.
from __future__ import annotations

from typing import Any

import httpx

from .._common import CallOptions, RawContent, segment, segments
from . import types
`;

/** The module of the asynchronous Python client with a class for each resource. \`syncOf\` makes the synchronous one of it. */
export function pythonMethods(root: Resource): string {
  const imports = 'from .._async.pages import AsyncPages\nfrom .._async.transport import AsyncTransport\n';
  return [HEAD.replace('from .._common', `${imports}from .._common`), ...classesOf('', root)].join('\n\n');
}

/** Those below first, so that each stands before its use. The last one has all. */
function classesOf(name: string, { operations, children }: Resource): string[] {
  const below = [...children].flatMap(([child, resource]) => classesOf(`${name}${pascalCase(child)}`, resource));
  const fields = [...children.keys()].map(
    (child) => `        self.${snakeCase(child)} = Async${name}${pascalCase(child)}Resource(http)\n`,
  );
  const init = `    def __init__(self, http: AsyncTransport) -> None:\n        self._http = http\n${fields.join('')}`;
  return [
    ...below,
    `class Async${name === '' ? 'AllResources' : `${name}Resource`}:\n${[init, ...operations.map(methodOf)].join('\n')}`,
  ];
}

function methodOf(one: SdkOperation): string {
  const { operationId, answer, place, method, path, text } = one;
  const title = pascalCase(operationId);
  const params = [
    'self',
    ...one.pathParams.map((param) => `${snakeCase(param)}: str`),
    ...(one.body === 'required' ? [`body: types.${title}Request`] : []),
    ...(one.body === 'optional' ? [`body: types.${title}Request | None = None`] : []),
    ...(one.body === 'raw' ? ['body: RawContent'] : []),
    ...(one.query === 'required' ? [`query: types.${title}ParametersQuery`] : []),
    ...(one.query === 'optional' ? [`query: types.${title}ParametersQuery | None = None`] : []),
    'options: CallOptions | None = None',
  ];
  const parts = [
    ...(one.body === 'required' || one.body === 'raw' ? ['body=body'] : []),
    ...(one.body === 'optional' ? ['body=body or {}'] : []),
    ...(one.query === 'none' ? [] : ['query=query']),
    ...(one.takesKey ? ['takes_key=True'] : []),
    'options=options',
  ];
  const name = snakeCase(place.at(-1) ?? '');
  const doc = wrapText(`${text}\n\n\`${method} ${path}\``, 110);
  const docLines = doc
    .map((line) => `        ${line}`.trimEnd())
    .join('\n')
    .trim();
  const args = `"${method}", ${pathTemplate(path)}, ${parts.join(', ')}`;
  if (answer.kind === 'page') return pagesMethod({ name, params, docLines, title, answer, path });
  const isRaw = answer.kind === 'raw';
  const type = isRaw ? 'httpx.Response' : `types.${answer.schemaName ?? `${title}Response`}`;
  const call = `        return await self._http.${isRaw ? 'raw' : 'json'}(${args})\n`;
  const result = isRaw ? call : `${call.replace('return await', `answer: ${type} = await`)}        return answer\n`;
  return `    async def ${name}(${params.join(', ')}) -> ${type}:\n        """${docLines}"""\n${result}`;
}

interface PagesMethod {
  name: string;
  params: readonly string[];
  docLines: string;
  title: string;
  answer: Extract<SdkOperation['answer'], { kind: 'page' }>;
  path: string;
}

function pagesMethod({ name, params, docLines, title, answer, path }: PagesMethod): string {
  const { items, cursor, next } = answer;
  return `    def ${name}(${params.join(', ')}) -> AsyncPages[types.${title}Response, ${itemType(title, answer)}]:
        """${docLines}"""

        async def read(more: dict[str, Any]) -> Any:
            return await self._http.json("GET", ${pathTemplate(path)}, query={**(query or {}), **more}, options=options)

        return AsyncPages(read, items="${items}", cursor="${cursor}", next="${next}")
`;
}

/** An item that is described in place has the title that `titledDocument` gives it. */
function itemType(title: string, { items, itemSchemas }: PagesMethod['answer']): string {
  if (itemSchemas.length === 0) return `types.${title}Response${pascalCase(items)}Item`;
  return itemSchemas.map((name) => `types.${name}`).join(' | ');
}

function pathTemplate(path: string): string {
  if (!path.includes('{')) return `"${path}"`;
  return `f"${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => `{${encoderOf(name)}(${snakeCase(name)})}`)}"`;
}

/** Asynchronous words and their synchronous counterparts, replaced in this order. */
const SYNC_WORDS: readonly (readonly [RegExp, string])[] = [
  [/\basync def\b/g, 'def'],
  [/\basync for\b/g, 'for'],
  [/\basync with\b/g, 'with'],
  [/\bawait /g, ''],
  [/\basyncio\.sleep\b/g, 'time.sleep'],
  [/\bimport asyncio\b/g, 'import time'],
  [/\b_async\b/g, '_sync'],
  [/\bAsync(?=[A-Z])/g, ''],
  [/\bAwaitable\[Any\]/g, 'Any'],
  [/\bAwaitable, /g, ''],
  [/\basync_(?=\w)/g, 'sync_'],
  [/\b__aiter__\b/g, '__iter__'],
  [/\b__anext__\b/g, '__next__'],
  [/\b__aenter__\b/g, '__enter__'],
  [/\b__aexit__\b/g, '__exit__'],
  [/\baiter_sse\b/g, 'iter_sse'],
  [/\baclose\b/g, 'close'],
  [/\baread\b/g, 'read'],
  [/\basynchronous\b/g, 'synchronous'],
];

/** The synchronous Python of an asynchronous module: the same code with SYNC_WORDS replaced. */
export function syncOf(code: string): string {
  const text = SYNC_WORDS.reduce((so_far, [word, other]) => so_far.replaceAll(word, other), code);
  return text.replace(
    /^# Written by .*\n|^/,
    '# Written by `npm run sdk` from its asynchronous twin. Do not change it by hand.\n',
  );
}
