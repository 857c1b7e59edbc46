import { flushCompileCache } from 'node:module';
import { keepSmall } from '../lib/small-process.ts';

keepSmall('api', process.env);
const { start } = await import('./start.ts');
await start(process.env);
// Now, and not at its end only: it may be killed.
flushCompileCache();
