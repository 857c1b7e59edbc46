import { isPublicAddress, literalAddress } from './public-address.ts';
import type { Lookup } from './safe-lookup.ts';

const MAX_URL_LENGTH = 2_048;
const NOT_PUBLIC = 'must be the address of a public host.';

/** Says in a sentence why nothing may be sent to this URL, as far as its text tells; null when something may. */
export function targetProblem(text: string, { allowPrivate }: { allowPrivate: boolean }): string | null {
  if (text.length > MAX_URL_LENGTH) return `must have at most ${MAX_URL_LENGTH} characters.`;
  const url = URL.parse(text);
  if (!url) return 'must be a URL such as https://example.com/webhook.';
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) return 'must begin with https://.';
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or a password.';
  if (allowPrivate) return null;
  const address = literalAddress(url);
  if (address !== null) return isPublicAddress(address) ? null : NOT_PUBLIC;
  // A name with one label, or one that is the machine itself by definition, is never public.
  const name = url.hostname.replace(/\.$/, '');
  return name.includes('.') && !name.endsWith('.localhost') ? null : NOT_PUBLIC;
}

/** The URL as a request to it is made; what is no URL stays as it is. */
export function usedUrl(text: string): string {
  const url = URL.parse(text);
  if (!url) return text;
  url.hash = '';
  return url.href;
}

/**
 * As targetProblem, and also resolves the name now, so that the client that sets the URL learns of a problem early. Only the
 * check at each connect protects. A name that resolves to nothing yet is not a problem.
 */
export async function resolvedTargetProblem(
  text: string,
  { allowPrivate, lookup, timeoutMs }: { allowPrivate: boolean; lookup: Lookup; timeoutMs: number },
): Promise<string | null> {
  const problem = targetProblem(text, { allowPrivate });
  if (problem !== null || allowPrivate) return problem;
  const url = new URL(text);
  if (literalAddress(url) !== null) return null;
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), timeoutMs).unref());
  const found = await Promise.race([lookup(url.hostname).catch(() => null), late]);
  return found && found.length > 0 && !found.some(({ address }) => isPublicAddress(address)) ? NOT_PUBLIC : null;
}
