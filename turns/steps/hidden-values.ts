import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { findSealedSecrets } from '../../database/content/secrets.ts';
import { secretPlace } from '../../database/secret-place.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { createMask, MASK, MaskBudgetError } from '../../lib/text/mask.ts';
import type { Mask } from '../../lib/text/mask.ts';
import { gatewayToken, RELAY_TOKENS } from '../../runtime/engine.ts';
import type { MasterKey } from '../../runtime/engine.ts';

/** The secrets of an instance in clear, and the tokens of its gateway. They stay within the caller: never log or return one. */
export async function findHiddenValues(
  em: EntityManager,
  masterKeys: readonly MasterKey[],
  { instanceId, runtimeId }: { instanceId: string; runtimeId: string },
): Promise<string[]> {
  const secrets = await findSealedSecrets(em, instanceId);
  const encryption = createEncryption({ masterKeys, randomBytes });
  const values = secrets.map(({ accountId, key, value }) =>
    encryption.decrypt(value, secretPlace({ accountId, instanceId, key })),
  );
  return [...masterKeys.map((key) => gatewayToken(key, runtimeId)), ...values];
}

/** The text without anything in the form of a token. */
export function hideTokens(text: string): string {
  return text.replaceAll(RELAY_TOKENS, MASK).replaceAll(/\bBearer\s+\S+/gi, `Bearer ${MASK}`);
}

/**
 * Takes these values and every token out of texts. Each text may take a tenth of a second; of one that would take longer
 * nothing is left.
 */
export function createHide(values: readonly string[]): (text: string) => string {
  let mask: Mask | null = null;
  const masked = (text: string): string => hideTokens((mask ??= createMask(values))(text));
  return (text) => {
    // The work of all calls of one mask is bounded: a new one may have room for what the old one has not.
    const wasUsed = mask !== null;
    const shown = orNull(() => masked(text));
    if (shown !== null) return shown;
    mask = null;
    return (wasUsed ? orNull(() => masked(text)) : null) ?? MASK;
  };
}

/** Null where there was too much to mask. */
function orNull(work: () => string): string | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof MaskBudgetError) return null;
    throw error;
  }
}
