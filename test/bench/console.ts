import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { Agent, request } from 'undici';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient } from '../support/api-client.ts';
import { startBrowser } from '../support/chromium.ts';
import { residentMiB } from '../support/resident-memory.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { IDLE_MS } from './bare-turn.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { percentile } from './table.ts';
import type { Row } from './table.ts';

const DIST = join(import.meta.dirname, '../../console/dist');
const LOADS = 10;
const REPLIES = 20;
const ROWS = 1_000;
const CONSOLES = 200;
const ACCOUNTS = 20;
const SETTLE_MS = 5_000;
const MESSAGE = '[[SAY One two three.]]';

type Account = ApiClient & { accountId: string };

/** The console in a browser of this machine, on the real stack. */
export const benchConsole: Bench = async ({ stack, say }) => {
  const browser = await startBrowser();
  try {
    const account = await stack.newAccount();
    const page = await browser.context.newPage();
    await signIn(page, stack, account);
    const rows = [await measureScript(), ...(await measureLoads(page, stack))];
    const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
    await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
    const agent = { name: 'a', slug: 'agent', displayName: 'A' };
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
    say('The agent runs.');
    rows.push(...(await measureReplies(page, stack, { account, path: `/instances/${instanceId}/agents/${agentId}` })));
    rows.push(await measureScroll(page, `${stack.url}/console/instances/${instanceId}/logs`));
    await account.ok('DELETE', `/instances/${instanceId}`);
    return [...rows, await measureMemory(stack)];
  } finally {
    await browser.close();
  }
};

async function signIn(page: Page, stack: StackUnderTest, account: Account): Promise<void> {
  const { path } = await account.ok('POST', '/auth/links');
  await page.goto(`${stack.url}${path}`);
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
}

/** What the page of the console loads before it shows anything. */
async function measureScript(): Promise<Row> {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  const names = [...html.matchAll(/(?:src|href)="\/console\/(assets\/[^"]+\.js)"/g)].map(([, name = '']) => name);
  const files = await Promise.all(names.map((name) => readFile(join(DIST, name))));
  const kib = files.reduce((sum, file) => sum + gzipSync(file).length, 0) / 1024;
  const goal = `<= 250 KiB (${kib.toFixed(0)} KiB)`;
  return { what: 'JavaScript of the first page, compressed', values: [kib / 1024], unit: 'MB', goal, reached: kib <= 250 };
}

/** From nothing in the cache to the first page with its data, near and far from the API. */
async function measureLoads(page: Page, stack: StackUnderTest): Promise<Row[]> {
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  const load = (): Promise<number> =>
    timed(async () => {
      await page.goto(`${stack.url}/console/`);
      await page.getByRole('button', { name: 'Create your first agent' }).waitFor();
    });
  await network.send('Network.setCacheDisabled', { cacheDisabled: true });
  await load();
  const near = await repeated(LOADS, load);
  await network.send('Network.emulateNetworkConditions', {
    ...{ offline: false, latency: 200, downloadThroughput: -1, uploadThroughput: -1 },
  });
  const far = await repeated(LOADS, load);
  await network.detach();
  return [
    {
      what: 'first page of the console, usable',
      values: near,
      unit: 'ms',
      goal: 'p50 <= 1,000',
      reached: percentile(near, 0.5) <= 1_000,
    },
    { what: 'the same with 200 ms of latency', values: far, unit: 'ms', goal: 'known', reached: null },
  ];
}

/** By turns from the API and in the chat, so that what the gateway takes is the same for both. */
async function measureReplies(
  page: Page,
  stack: StackUnderTest,
  { account, path }: { account: Account; path: string },
): Promise<Row[]> {
  await page.goto(`${stack.url}/console${path}`);
  const fromApi: number[] = [];
  const inChat: number[] = [];
  // The first turn of an agent takes longer.
  await account.ok('POST', `${path}/messages`, { message: MESSAGE });
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  for (let turn = 0; turn < REPLIES; turn += 1) {
    await sleep(IDLE_MS);
    fromApi.push(await firstWord(stack, apiKey, path));
    await sleep(IDLE_MS);
    inChat.push(await firstWordShown(page));
  }
  const later = percentile(inChat, 0.5) - percentile(fromApi, 0.5);
  return [
    { what: 'first word of a reply from the API', values: fromApi, unit: 'ms', goal: 'known', reached: null },
    {
      what: 'first word of a reply in the chat',
      values: inChat,
      unit: 'ms',
      goal: `+ 30 (p50 ${later.toFixed(0)} later)`,
      reached: later <= 30,
    },
  ];
}

/** Milliseconds to the first word from the API. Resolves when the turn has ended. */
async function firstWord(stack: StackUnderTest, apiKey: string, path: string): Promise<number> {
  const begunAt = performance.now();
  // The call that the chat makes.
  const body = { message: MESSAGE, include: ['steps'], stream: true };
  const account = createApiClient(stack.url, { 'x-api-key': apiKey, 'idempotency-key': randomUUID() });
  const response = await account.raw('POST', `${path}/messages`, body);
  let foundAfter = Number.NaN;
  let seen = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    seen += text;
    if (Number.isNaN(foundAfter) && seen.includes('"content":"One')) foundAfter = performance.now() - begunAt;
  }
  return foundAfter;
}

/** Milliseconds in the browser, from the press of the button to the word on the page. */
async function firstWordShown(page: Page): Promise<number> {
  await page.getByLabel('Message', { exact: true }).fill(MESSAGE);
  await page.getByRole('button', { name: 'Send', exact: true, disabled: false }).waitFor();
  const shownAfter = await page.evaluate<number>(`new Promise((resolve) => {
    const begunAt = performance.now();
    const observer = new MutationObserver(() => {
      if (!document.querySelector('.said-agent[aria-busy] .markdown')) return;
      observer.disconnect();
      resolve(performance.now() - begunAt);
    });
    observer.observe(document.body, { childList: true, subtree: true });
    document.querySelector('.composer button.primary').click();
  })`);
  await page.locator('.said-agent[aria-busy]').waitFor({ state: 'detached' });
  return shownAfter;
}

/** How long frames take while a log of a thousand lines is scrolled from one end to the other. */
async function measureScroll(page: Page, url: string): Promise<Row> {
  const lines = Array.from({ length: ROWS }, (_, line) => ({ at: new Date(0).toISOString(), text: `line ${line} `.repeat(12) }));
  await page.route('**/logs?*', (route) => route.fulfill({ json: { lines } }));
  await page.goto(url);
  await page
    .locator('.log > li')
    .nth(ROWS - 1)
    .waitFor({ state: 'attached' });
  const frames = await page.evaluate<number[]>(`new Promise((resolve) => {
    const list = document.querySelector('.log');
    const frames = [];
    let before = performance.now();
    list.scrollTop = 0;
    const frame = (now) => {
      frames.push(now - before);
      before = now;
      list.scrollTop += 200;
      if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) resolve(frames.slice(1));
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  })`);
  await page.unroute('**/logs?*');
  const goal = 'p99 <= 50';
  return { what: `a frame while ${ROWS} rows scroll`, values: frames, unit: 'ms', goal, reached: percentile(frames, 0.99) <= 50 };
}

/** What an API process keeps for consoles that are open: each follows the instances and the events of its account. */
async function measureMemory(stack: StackUnderTest): Promise<Row> {
  const cookies = await repeated(ACCOUNTS, () => openSession(stack));
  const before = await residentMiB(stack.pidOf('api'));
  const dispatcher = new Agent({ connections: CONSOLES * 2, bodyTimeout: 0, headersTimeout: 0 });
  const gone = new AbortController();
  const open = async (path: string, cookie: string): Promise<void> => {
    const { statusCode, body } = await request(`${stack.url}/console/api/v1${path}`, {
      headers: { cookie, 'x-thermidora-console': '1' },
      dispatcher,
      signal: gone.signal,
    });
    if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`);
    body.on('error', () => undefined).resume();
  };
  await Promise.all(
    Array.from({ length: CONSOLES }, async (_, index) => {
      const cookie = cookies[index % ACCOUNTS] ?? '';
      await Promise.all([open('/instances/stream', cookie), open('/events/stream?after=0', cookie)]);
    }),
  );
  await sleep(SETTLE_MS);
  const mib = (await residentMiB(stack.pidOf('api'))) - before;
  gone.abort();
  await dispatcher.destroy();
  return { what: `memory of the API for ${CONSOLES} open consoles`, values: [mib], unit: 'MB', goal: 'known', reached: null };
}

/** The cookie of a session of a new account. */
async function openSession(stack: StackUnderTest): Promise<string> {
  const account = await stack.newAccount();
  const { path } = await account.ok('POST', '/auth/links');
  const response = await fetch(`${stack.url}/console/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-thermidora-console': '1', origin: stack.url },
    body: JSON.stringify({ link: String(path).split('#link=')[1] }),
  });
  return response.headers.get('set-cookie')?.split(';')[0] ?? '';
}

async function repeated<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < times; round += 1) results.push(await work());
  return results;
}
