import { utf8Length } from './file-path.ts';

export const MAX_SECRETS = 100;
export const MAX_SECRET_BYTES = 64 * 1024;
/** Of all names and values of an instance. A program that gets more than 2 MiB as its environment cannot be started. */
export const MAX_SECRETS_BYTES = 1024 * 1024;

export const SECRET_KEY = /^[A-Z][A-Z0-9_]{0,127}$/;

const RESERVED_NAMES = ['PATH', 'HOME', 'SHELL'];
const RESERVED_PREFIXES = ['OPENCLAW_', 'NODE_', 'LD_'];
/** What the gateway prints in the place of a secret, and refuses as one. */
const PLACEHOLDER =
  /^(?:__OPENCLAW_REDACTED__|(?:xoxb-|xapp-)?REDACTED|\*{3}|\[redacted\]|<redacted>|\[REDACTED(?:_PRIVATE_KEY| CREDENTIAL)?\])$/;

/** Says in a sentence why this is no name of a secret; null when it is one. */
export function secretKeyProblem(key: string): string | null {
  if (!SECRET_KEY.test(key))
    return 'Use a capital letter, then capital letters, digits and underscores, at most 128 characters, such as SLACK_TOKEN.';
  if (RESERVED_NAMES.includes(key) || RESERVED_PREFIXES.some((prefix) => key.startsWith(prefix)))
    return 'This name is reserved for the runtime. Use another one.';
  return null;
}

/** Says in a sentence why this is no value of a secret, without repeating it; null when it is one. */
export function secretValueProblem(value: string): string | null {
  if (value === '') return 'Must not be empty.';
  if (!value.isWellFormed() || value.includes('\0')) return 'Must be text without the character NUL.';
  if (utf8Length(value) > MAX_SECRET_BYTES) return `Must have at most ${MAX_SECRET_BYTES} bytes.`;
  if (PLACEHOLDER.test(value.trim())) return 'Must be the secret itself, not the placeholder of a masked value.';
  return null;
}
