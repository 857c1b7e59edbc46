import { encoderOf, pascalCase, wrapText } from './names.ts';
import type { Resource, SdkOperation } from './read-operations.ts';

const HEAD = `// Written by \`npm run sdk\` from openapi.json. Do not change it by hand.
import { SEGMENTS } from '../resource.ts';
import { Pages } from '../pages.ts';
import type { TYPES } from '../types.ts';
import type { components } from './schema.ts';
`;

/** They would hide what every program has. */
const TAKEN: Record<string, string> = { Error: 'ErrorBody', Event: 'InstanceEvent' };

/** The file of the TypeScript client with a class for each resource and a type for each schema of the document. */
export function typescriptMethods(root: Resource, schemaNames: readonly string[]): string {
  const aliases = schemaNames.map((name) => `export type ${TAKEN[name] ?? name} = components['schemas']['${name}'];`);
  const classes = classesOf('', root);
  const text = classes.join('\n');
  const imported = (names: readonly string[]): string =>
    names.filter((name) => new RegExp(`\\b${name}\\b`).test(text)).join(', ');
  const head = HEAD.replace('SEGMENTS', imported(['Resource', 'segment', 'segments'])).replace(
    'TYPES',
    imported(['AnswerOf', 'BodyOf', 'CallOptions', 'QueryOf', 'RawBody']),
  );
  return [head, `${aliases.join('\n')}\n`, text].join('\n');
}

/** Those below first, so that each stands before its use. The last one has all. */
function classesOf(name: string, { operations, children }: Resource): string[] {
  const below = [...children].flatMap(([child, resource]) => classesOf(`${name}${pascalCase(child)}`, resource));
  const fields = [...children.keys()].map((child) => {
    const type = `${name}${pascalCase(child)}Resource`;
    return `  readonly ${child} = new ${type}(this.http);\n`;
  });
  const members = [...fields, ...operations.map(methodOf)];
  return [
    ...below,
    `export class ${name === '' ? 'All' : name}Resource${name === '' ? 's' : ''} extends Resource {\n${members.join('\n')}}\n`,
  ];
}

function methodOf(one: SdkOperation): string {
  const id = `'${one.operationId}'`;
  const params = [
    ...one.pathParams.map((param) => `${param}: string`),
    ...(one.body === 'required' ? [`body: BodyOf<${id}>`] : []),
    ...(one.body === 'optional' ? [`body: BodyOf<${id}> = {}`] : []),
    ...(one.body === 'raw' ? ['body: RawBody'] : []),
    ...(one.query === 'none' ? [] : [`query: QueryOf<${id}>${one.query === 'optional' ? ' = {}' : ''}`]),
    'options: CallOptions = {}',
  ];
  const parts = [
    ...(one.body === 'none' ? [] : ['body']),
    ...(one.query === 'none' ? [] : ['query']),
    ...(one.takesKey ? ['takesKey: true'] : []),
    'options',
  ];
  const call = `'${one.method}', ${pathOf(one)}, { ${parts.join(', ')} }`;
  const { type, expression } = answerOf(one, id, call);
  const name = one.place.at(-1) ?? '';
  return `${docOf(one)}  ${name}(${params.join(', ')}): ${type} {\n    return ${expression};\n  }\n`;
}

function answerOf({ answer, path }: SdkOperation, id: string, call: string): { type: string; expression: string } {
  if (answer.kind === 'raw') return { type: 'Promise<Response>', expression: `this.http.raw(${call})` };
  if (answer.kind === 'json') return { type: `Promise<AnswerOf<${id}>>`, expression: `this.http.json<AnswerOf<${id}>>(${call})` };
  const { items, cursor, next } = answer;
  const page = `AnswerOf<${id}>`;
  const readPage = `(more) => this.http.json<${page}>('GET', ${pathTemplate(path)}, { query: { ...query, ...more }, options })`;
  return {
    type: `Pages<${page}, '${items}'>`,
    expression: `new Pages<${page}, '${items}'>(${readPage}, { items: '${items}', cursor: '${cursor}', next: '${next}' })`,
  };
}

const pathOf = ({ path }: SdkOperation): string => pathTemplate(path);

function pathTemplate(path: string): string {
  if (!path.includes('{')) return `'${path}'`;
  return `\`${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => `\${${encoderOf(name)}(${name})}`)}\``;
}

function docOf({ text, method, path }: SdkOperation): string {
  const lines = wrapText(`${text}\n\n\`${method} ${path}\``, 120);
  return `  /**\n${lines.map((line) => `   * ${line}`.trimEnd()).join('\n')}\n   */\n`;
}
