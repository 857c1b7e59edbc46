import { StaleEpochError } from '../driver.ts';
import { PlacementError } from '../placement-error.ts';
import { ApiError } from './api.ts';

/** What the policy of deploy/kubernetes says when an object carries a higher epoch than the attempt that would change it. */
const STALE = 'a newer attempt has changed this object';

/** Runs the work; what the API server refused comes out as what it means to us, in words that say what to do. */
export async function explainingCluster<T>(runtimeId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.message.includes(STALE)) throw new StaleEpochError(runtimeId);
    if (error.status === 403 && /exceeded quota|forbidden: maximum/i.test(error.message))
      throw new PlacementError(`The quota of the namespace is used up: ${error.message}`, { cause: error });
    if (error.status === 401 || error.status === 403)
      throw new PlacementError(`The driver lacks a right in the namespace; apply deploy/kubernetes again. ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}
