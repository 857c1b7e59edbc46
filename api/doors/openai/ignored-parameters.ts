import { IGNORED_HEADER } from './door.ts';

/** The names of OpenAI's parameters are such words; others could not be written into a header as they are. */
const NAME = /^\w{1,64}$/;
const MAX_NAMED = 50;

/** The header that names what was given and makes no difference; none when all of it does. */
export function ignoredHeader(body: object, honoured: ReadonlySet<string>): Record<string, string> {
  const ignored = Object.entries(body)
    .filter(([name, value]) => !honoured.has(name) && value !== null && value !== undefined && NAME.test(name))
    .map(([name]) => name)
    .slice(0, MAX_NAMED);
  return ignored.length === 0 ? {} : { [IGNORED_HEADER]: ignored.join(', ') };
}
