import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { deriveKey } from '../lib/crypto/derive-key.ts';
import type { MasterKey } from './openclaw/install/tokens.ts';

/** What a ticket is good for. */
export interface LogTicket {
  /** The log server that it is shown to, by its base URL: another program that listens there later has no use for it. */
  address: string;
  runtimeId: string;
}

const PURPOSE = 'log-ticket';
const LIFETIME_SECONDS = 60;
const claims = z.object({ sub: z.string() });

/** Lets its holder read the log of one runtime from one log server, for a minute. Made with the active key. */
export function logTicket(masterKeys: readonly MasterKey[], { address, runtimeId }: LogTicket): string {
  const [active] = masterKeys;
  if (!active) throw new Error('MASTER_KEYS names no key');
  const options = { algorithm: 'HS256', keyid: active.id, expiresIn: LIFETIME_SECONDS } as const;
  return jwt.sign({ aud: address, sub: runtimeId }, deriveKey(active.key, PURPOSE), options);
}

/** Whether this is a ticket of ours for exactly this log, unaltered and not expired. */
export function isLogTicket(masterKeys: readonly MasterKey[], ticket: string, { address, runtimeId }: LogTicket): boolean {
  const keyId = jwt.decode(ticket, { complete: true })?.header.kid;
  const key = masterKeys.find(({ id }) => id === keyId);
  if (!key) return false;
  try {
    const options = { audience: address, algorithms: ['HS256' as const] };
    const parsed = claims.safeParse(jwt.verify(ticket, deriveKey(key.key, PURPOSE), options));
    return parsed.success && parsed.data.sub === runtimeId;
  } catch {
    return false;
  }
}
