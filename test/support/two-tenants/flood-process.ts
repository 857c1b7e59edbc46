import { once } from 'node:events';
import { flood } from './floods.ts';
import type { FloodName } from './floods.ts';
import type { TenantPlace } from './tenant.ts';

const [message] = await once(process, 'message');
const { name, place } = message as { name: FloodName; place: TenantPlace }; // boundary: start-flood.ts alone starts it
const stopped = new AbortController();
const flooding = flood(name, place, stopped.signal);
await once(process, 'message');
stopped.abort();
process.send?.(await flooding);
process.disconnect();
