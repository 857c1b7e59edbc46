/** What an API key may be limited to: each operation for accounts needs exactly one of them. */
export const KEY_SCOPES = ['read', 'messages', 'write', 'secrets', 'keys'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

/** What a caller may do at most. A token, and a key that was made without limits, may do everything. */
export interface KeyLimits {
  /** Null: all, those of later versions included. */
  scopes: KeyScope[] | null;
  /** The only instance that exists for the caller; null: all of the account. */
  instanceId: string | null;
}

export const NO_LIMITS: KeyLimits = { scopes: null, instanceId: null };

/** Whether these limits let a caller do what needs this scope. */
export function hasScope({ scopes }: KeyLimits, scope: KeyScope): boolean {
  return scopes === null || scopes.includes(scope);
}

/** Whether a resource of this instance, or of the whole account (null), exists for a caller with these limits. */
export function seesInstance(limits: Pick<KeyLimits, 'instanceId'>, instanceId: string | null): boolean {
  return limits.instanceId === null || limits.instanceId === instanceId;
}
