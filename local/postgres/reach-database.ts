import { isErrno } from '../../lib/errno.ts';
import { Refusal } from '../refusal.ts';

const UNREACHABLE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET'];

/** Runs the work with the database that was given. Throws Refusal when that cannot be reached. */
export async function reachDatabase<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isErrno(error, ...UNREACHABLE)) throw error;
    throw new Refusal(
      'The PostgreSQL of DATABASE_URL cannot be reached. Start it, correct the setting, or remove it: then npm start brings its own.',
    );
  }
}
