import { AppError } from '../../../domain/errors.ts';
import type { BundledSkill } from '../../../runtime/engine.ts';
import type { Deps } from '../../deps.ts';

/** The built-in skills. Throws `unavailable` while OpenClaw is not installed yet. */
export async function bundledSkills({ skillCatalogue }: Pick<Deps, 'skillCatalogue'>): Promise<readonly BundledSkill[]> {
  try {
    return await skillCatalogue.list();
  } catch (cause) {
    throw new AppError('unavailable', 'The list of built-in skills is not available yet. Try again in a moment.', {
      retryAfterSeconds: 5,
      cause,
    });
  }
}
