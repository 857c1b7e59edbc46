import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { deriveKey } from '../lib/crypto/derive-key.ts';
import type { MasterKey } from './openclaw/install/tokens.ts';

/** What a ticket is good for. */
export interface WorkerTicket {
  kind: 'log' | 'files' | 'state';
  /** The server of a worker that it is shown to, by its base URL: another program that listens there later has no use for it. */
  address: string;
  /** Of a log or a state: its runtime. Of files: the method and the target of the request. */
  subject: string;
}

const LIFETIME_SECONDS = 60;
const claims = z.object({ sub: z.string() });
const purposeOf = (kind: WorkerTicket['kind']): string => `${kind}-ticket`;

/** Lets its holder make one request of a worker's server, for a minute. Made with the active key. */
export function workerTicket(masterKeys: readonly MasterKey[], { kind, address, subject }: WorkerTicket): string {
  const [active] = masterKeys;
  if (!active) throw new Error('MASTER_KEYS names no key');
  const options = { algorithm: 'HS256', keyid: active.id, expiresIn: LIFETIME_SECONDS } as const;
  return jwt.sign({ aud: address, sub: subject }, deriveKey(active.key, purposeOf(kind)), options);
}

/** Whether this is a ticket of ours for exactly this request, unaltered and not expired. */
export function isWorkerTicket(
  masterKeys: readonly MasterKey[],
  ticket: string,
  { kind, address, subject }: WorkerTicket,
): boolean {
  const keyId = jwt.decode(ticket, { complete: true })?.header.kid;
  const key = masterKeys.find(({ id }) => id === keyId);
  if (!key) return false;
  try {
    const options = { audience: address, algorithms: ['HS256' as const] };
    const parsed = claims.safeParse(jwt.verify(ticket, deriveKey(key.key, purposeOf(kind)), options));
    return parsed.success && parsed.data.sub === subject;
  } catch {
    return false;
  }
}
