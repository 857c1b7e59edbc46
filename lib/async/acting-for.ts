import { AsyncLocalStorage } from 'node:async_hooks';

const owners = new AsyncLocalStorage<string>();

/** Does the work in the name of this account: what it shares with others, it gets as a share of that account. */
export function actFor<T>(accountId: string, work: () => T): T {
  return owners.run(accountId, work);
}

/** The account in whose name is worked here; undefined: the platform's own. */
export function actingFor(): string | undefined {
  return owners.getStore();
}
