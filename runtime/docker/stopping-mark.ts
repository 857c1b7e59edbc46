import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { textOf } from '../host/missing-files.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import type { Container } from './container-state.ts';

/** Notes that a stop has told exactly this container to end, so that nobody adopts it any more. */
export async function markStopping(layout: RuntimeLayout, { Id }: Container): Promise<void> {
  await writeFile(stoppingFile(layout), Id);
}

/** Whether an earlier stop has told exactly this container to end. */
export async function isStopping(layout: RuntimeLayout, { Id }: Container): Promise<boolean> {
  return (await textOf(stoppingFile(layout))) === Id;
}

/** Forgets the stop of an earlier container. */
export async function forgetStopping(layout: RuntimeLayout): Promise<void> {
  await rm(stoppingFile(layout), { force: true });
}

function stoppingFile({ root }: RuntimeLayout): string {
  return join(root, 'stopping');
}
