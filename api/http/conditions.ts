import type { IncomingHttpHeaders } from 'node:http';
import type { ByteRange, Etags } from '../../runtime/driver-files.ts';

const MOST = 64;
const ETAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;
/** More digits than the size of any file has. */
const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/** The states that If-Match requires; null without it. A weak one matches nothing. */
export function ifMatch({ 'if-match': given }: IncomingHttpHeaders): Etags | null {
  return given === undefined ? null : etagsIn(given);
}

/** The states that If-None-Match excludes; null without it. */
export function ifNoneMatch({ 'if-none-match': given }: IncomingHttpHeaders): Etags | null {
  if (given === undefined) return null;
  const etags = etagsIn(given);
  return etags === '*' ? etags : etags.map((etag) => etag.replace(/^W\//, ''));
}

/** The one range that is asked for; null for none, for several and for one that cannot be, which are answered with the whole. */
export function rangeOf({ range }: IncomingHttpHeaders): ByteRange | null {
  const [, from = '', to = ''] = RANGE.exec(range ?? '') ?? [];
  if (from === '' && to === '') return null;
  const [first, last] = [from === '' ? null : Number(from), to === '' ? null : Number(to)];
  return first !== null && last !== null && first > last ? null : { first, last };
}

function etagsIn(given: string): Etags {
  return given.trim() === '*' ? '*' : (given.match(ETAG) ?? []).slice(0, MOST);
}
