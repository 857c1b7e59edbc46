import { once } from 'node:events';
import { startFakeModel } from '../fake-model.ts';

const model = await startFakeModel();
process.send?.(model.url);
await once(process, 'disconnect');
await model.close();
