import { keepSmall } from '../lib/small-process.ts';

keepSmall('api', process.env);
const { start } = await import('./start.ts');
await start(process.env);
