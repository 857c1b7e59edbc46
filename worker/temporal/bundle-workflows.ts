import { createLog } from '../../lib/log.ts';
import { bundleWorkflows } from './temporal-workers.ts';

// A separate program, run by bundle-apart.ts: writes the bundle of the workflows to its standard output.
const { code } = await bundleWorkflows(createLog('bundler', 'silent'));
process.stdout.write(code);
