import { flushCompileCache } from 'node:module';
import { keepSmall } from '../lib/small-process.ts';

keepSmall('api', process.env);
const { start } = await import('./start.ts');
await start(process.env);
// Written now, because a process that is killed does not write it at its end.
flushCompileCache();
