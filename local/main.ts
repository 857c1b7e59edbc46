import { dirname } from 'node:path';
import { openPlace, withPlaceLocked } from './place.ts';
import { createProgress } from './progress.ts';
import { explain } from './refusal.ts';
import { runStack } from './stack.ts';
import { listenForStop } from './stop-request.ts';

const now = () => performance.now();
const progress = createProgress((line) => process.stdout.write(`${line}\n`), now);
// A terminal that was closed takes no more lines; the stop must go on all the same.
process.stdout.on('error', () => {});
const request = listenForStop(process, { say: progress.say, now });

process.exit(await run());

async function run(): Promise<number> {
  try {
    const place = await openPlace({ projectDir: dirname(import.meta.dirname), env: process.env });
    await withPlaceLocked(place, () => runStack(place, { progress, now, request }));
    if (!request.hurry.aborted) progress.say('Everything is stopped.');
    return 0;
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return 1;
  }
}
