import { dirname } from 'node:path';
import { buildConsole } from '../local/install/console-build.ts';

/** Builds the console into console/dist, where the API serves it from: `npm run build:console`. */
const wasBuilt = await buildConsole(dirname(import.meta.dirname));
process.stdout.write(wasBuilt ? 'The console is built.\n' : 'The console was built from these sources before.\n');
