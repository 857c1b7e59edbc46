import { snakeCase } from './names.ts';
import type { SdkOperation } from './read-operations.ts';

const MARKS = /(<!-- methods -->\n)[\s\S]*?(<!-- \/methods -->)/;

/** Beside what is generated of the document. */
const BY_HAND: Record<string, readonly [arguments_: readonly string[], text: string]> = {
  'instances.waitUntilRunning': [['instanceId'], 'Wait until an instance runs'],
  'instances.stream': [['query'], 'Follow the state of your instances live'],
  'messages.sendAndStream': [['instanceId', 'agentId', 'body'], 'Send a message to an agent and get its reply as it is written'],
  'events.stream': [['after'], 'Follow the events of the account live'],
};

/** A README with the table of methods between its marks: what they are called with, and what they do. */
export function withMethods(readme: string, operations: readonly SdkOperation[], language: 'typescript' | 'python'): string {
  const nameOf = language === 'python' ? snakeCase : (name: string): string => name;
  const generated = operations.map(({ place, pathParams, body, query, text }) => {
    const given = [...pathParams, ...(body === 'none' ? [] : ['body']), ...(query === 'none' ? [] : ['query'])];
    return rowOf(place, given, text.split('\n')[0]?.replace(/\.$/, '') ?? '');
  });
  const written = Object.entries(BY_HAND).map(([name, [given, text]]) => rowOf(name.split('.'), given, text));
  const rows = [...generated, ...written].toSorted((a, b) => a.order - b.order).map(({ row }) => row);
  return readme.replace(
    MARKS,
    (_, begin: string, end: string) => `${begin}| method | what it does |\n|---|---|\n${rows.join('\n')}\n${end}`,
  );

  function rowOf(place: readonly string[], given: readonly string[], text: string): { order: number; row: string } {
    const order = operations.findIndex((one) => one.place[0] === place[0]);
    const call = `client.${place.map(nameOf).join('.')}(${given.map(nameOf).join(', ')})`;
    return { order, row: `| \`${call}\` | ${text} |` };
  }
}
