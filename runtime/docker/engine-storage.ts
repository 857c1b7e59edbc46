import { StorageError } from '../host/storage-error.ts';
import { EngineError } from './engine.ts';

/** Runs the work; what the engine's own disk or images refused comes out as a StorageError that says what to do. */
export async function explainingEngine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EngineError && /no space left on device|disk quota exceeded/i.test(error.message))
      throw new StorageError('The disk of the Docker engine is full. Free some space there, then try again.', { cause: error });
    if (error instanceof EngineError && /not a shared mount/i.test(error.message))
      throw new StorageError(
        'Disks of instances need shared mounts on this machine. Run mount --make-rshared /, then try again.',
        {
          cause: error,
        },
      );
    if (error instanceof EngineError && error.status === 404 && /no such image/i.test(error.message))
      throw new StorageError('The image of instances is missing. Run npm run image:build, then try again.', { cause: error });
    throw error;
  }
}
