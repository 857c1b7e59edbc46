import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOrm } from '../../database/orm.ts';
import { gatewayPathsOf, layoutOf } from '../../runtime/host/runtime-layout.ts';
import { residentMiB } from '../support/resident-memory.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';

const FILES = 10_000;
const PAGE = 1_000;
const MEBIBYTE = 1024 ** 2;
const LARGE = 25 * MEBIBYTE;
const DOWNLOADS = 10;
const LOOK_MS = 20;

/** The files of an agent, through one API process and one worker: a folder of 10,000 files, and one file of 25 MiB. */
export const benchFiles: Bench = async ({ stack, rounds, say }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
  const agent = { name: 'files', slug: 'files', displayName: 'Files' };
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
  const files = `/instances/${instanceId}/agents/${agentId}/files`;
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  const url = `${stack.url}/v1${files}/large.bin`;
  const headers = { 'x-api-key': String(apiKey) };

  const workspace = await workspaceOf(stack, agentId);
  await mkdir(join(workspace, 'many'), { recursive: true });
  for (let n = 0; n < FILES; n += 1) await writeFile(join(workspace, 'many', `file-${n}.md`), 'x');
  const list = (cursor: string | null) =>
    account.ok('GET', `${files}?prefix=many/&limit=${PAGE}${cursor === null ? '' : `&cursor=${cursor}`}`);
  await list(null);
  const [pages, all]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    let seen = 0;
    all.push(
      await timed(async () => {
        for (let cursor: string | null = null; ;) {
          let page = { files: [], nextCursor: null };
          pages.push(await timed(async () => void (page = await list(cursor))));
          seen += page.files.length;
          cursor = page.nextCursor;
          if (cursor === null) return;
        }
      }),
    );
    say(`  round ${round + 1}: ${seen} files in ${Math.round(all.at(-1) ?? 0)} ms`);
  }

  await fetch(url, { method: 'PUT', headers, body: Buffer.alloc(LARGE, 'abc') });
  const download = async () => {
    const { body } = await fetch(url, { headers });
    for await (const _ of body ?? []);
  };
  await download();
  const before = await residentMiB(stack.pidOf('api'));
  let most = before;
  const looking = setInterval(() => {
    void residentMiB(stack.pidOf('api')).then((now) => (most = Math.max(most, now)));
  }, LOOK_MS);
  const speeds: number[] = [];
  for (let n = 0; n < DOWNLOADS; n += 1) speeds.push(LARGE / MEBIBYTE / ((await timed(download)) / 1_000));
  clearInterval(looking);
  await account.ok('DELETE', `/instances/${instanceId}`);
  return [
    { what: `a page of ${PAGE} of ${FILES} files`, values: pages, unit: 'ms', goal: 'known', reached: null },
    {
      what: `all ${FILES} files, in ${FILES / PAGE} pages`,
      values: all,
      unit: 'ms',
      goal: 'p50 <= 500',
      reached: median(all) <= 500,
    },
    { what: 'download of 25 MiB', values: speeds, unit: 'MiB/s', goal: 'p50 >= 50', reached: median(speeds) >= 50 },
    { what: 'what the API grows by meanwhile', values: [most - before], unit: 'MB', goal: '< 20', reached: most - before < 20 },
  ];
};

/** On this machine: the stack runs its gateways as processes. */
async function workspaceOf({ databaseUrl, dataDir }: StackUnderTest, agentId: string): Promise<string> {
  const orm = await createOrm(databaseUrl);
  const [row] = await orm.em
    .fork()
    .execute<{ runtime: string; name: string }[]>(
      'select runtime_id as runtime, gateway_agent_id as name from agents join instances i on i.id = instance_id where agents.id = ?',
      [agentId],
    );
  await orm.close();
  return gatewayPathsOf(layoutOf(dataDir, row?.runtime ?? '')).workspaceOf(row?.name ?? '');
}
