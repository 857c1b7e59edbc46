import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { cacheDirOf } from '../lib/cache-dir.ts';
import { keepHeapSmall } from '../lib/small-heap.ts';

// Both have to be said before anything is loaded.
keepHeapSmall();
enableCompileCache(join(cacheDirOf(process.env), 'compile-cache-relay'));
const { start } = await import('./start.ts');
await start(process.env);
