import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { flood } from './floods.ts';
import type { FloodName } from './floods.ts';
import type { TenantPlace } from './tenant.ts';

if (!parentPort) throw new Error('This is a thread.');
const { name, place } = workerData as { name: FloodName; place: TenantPlace }; // boundary: start-flood.ts alone starts it
const stopped = new AbortController();
const flooding = flood(name, place, stopped.signal);
await once(parentPort, 'message');
stopped.abort();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort.postMessage(await flooding);
parentPort.close();
