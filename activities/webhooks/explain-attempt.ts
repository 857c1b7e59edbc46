import { UnsafeTargetError } from '../../lib/net/safe-lookup.ts';

const TLS_CODES = /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH)/;

const SENTENCES: Record<string, string> = {
  ENOTFOUND: 'The host name could not be resolved.',
  ECONNREFUSED: 'The connection was refused.',
  EHOSTUNREACH: 'The host cannot be reached.',
  ENETUNREACH: 'The host cannot be reached.',
  HPE_HEADER_OVERFLOW: 'The headers of the response are too large.',
};

/** Why no answer came, in a sentence for the customer that says nothing about our own network. */
export function explainFailure(error: unknown): string {
  if (error instanceof UnsafeTargetError) return 'The endpoint does not have the address of a public host.';
  const codes = [...codesOf(error)];
  if (nameOf(error) === 'TimeoutError' || codes.includes('ETIMEDOUT')) return 'The endpoint did not respond within 15 seconds.';
  if (codes.some((code) => TLS_CODES.test(code))) return 'The certificate of the endpoint could not be verified.';
  const sentence = codes.map((code) => SENTENCES[code]).find((known) => known !== undefined);
  return sentence ?? 'The connection was closed before the endpoint responded.';
}

/** Why an answer is no success; null when it is one. */
export function explainStatus(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) return `The endpoint responded with status ${status}. Redirects are not followed.`;
  return `The endpoint responded with status ${status}.`;
}

function nameOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : '';
}

/** The codes of an error, of what caused it and of what it consists of. */
function* codesOf(error: unknown, depth = 4): Generator<string> {
  if (typeof error !== 'object' || error === null || depth === 0) return;
  if ('code' in error && typeof error.code === 'string') yield error.code;
  if ('cause' in error) yield* codesOf(error.cause, depth - 1);
  if ('errors' in error && Array.isArray(error.errors)) for (const one of error.errors) yield* codesOf(one, depth - 1);
}
