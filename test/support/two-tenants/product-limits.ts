/**
 * The limits that customers have, in place of those that other tests need. Only of calls a minute ten times as many are
 * allowed: otherwise a flood would be refused from its first second on.
 */
export const PRODUCT_LIMITS: Record<string, string> = {
  RATE_LIMIT_PER_MINUTE: '6000',
  MAX_CALLS_PER_ACCOUNT: '',
  MAX_WAITS_PER_ACCOUNT: '',
  MAX_RUNNING: '6',
};
