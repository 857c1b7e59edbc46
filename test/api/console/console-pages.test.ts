import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readConsole } from '../../../api/console/console-files.ts';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';

let directory: string;
let api: ApiUnderTest;
let bare: ApiUnderTest;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'console-'));
  await mkdir(join(directory, 'assets'));
  await writeFile(join(directory, 'index.html'), '<!doctype html><title>Console</title>');
  await writeFile(join(directory, 'assets/main-A1b2.js'), 'start();'.repeat(100));
  const consoleFiles = (await readConsole(directory)) ?? undefined;
  [api, bare] = await Promise.all([startApi(consoleFiles ? { consoleFiles } : {}), startApi()]);
});

afterAll(async () => {
  await Promise.all([api.close(), bare.close()]);
  await rm(directory, { recursive: true });
});

test('every path below /console is its one page, which no cache stores', async () => {
  for (const path of ['/console', '/console/', '/console/instances/inst_1?tab=logs', '/console/sessions', '/console/apis']) {
    const page = await fetch(`${api.url}${path}`);
    expect([path, page.status, page.headers.get('content-type')]).toEqual([path, 200, 'text/html; charset=utf-8']);
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(await page.text()).toContain('<title>Console</title>');
  }
});

test('pages and what they load have a policy without exceptions', async () => {
  for (const path of ['/console', '/console/assets/main-A1b2.js']) {
    const { headers } = await fetch(`${api.url}${path}`);
    const policy = headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect([headers.get('x-content-type-options'), headers.get('referrer-policy')]).toEqual(['nosniff', 'no-referrer']);
  }
});

test('what a page loads is kept for a year, and sent compressed to who can read it', async () => {
  const url = `${api.url}/console/assets/main-A1b2.js`;
  const asset = await fetch(url);
  expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect([asset.headers.get('content-encoding'), asset.headers.get('vary')]).toEqual(['gzip', 'Accept-Encoding']);
  expect(await asset.text()).toBe('start();'.repeat(100));
  const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  expect([plain.headers.get('content-encoding'), await plain.text()]).toEqual([null, 'start();'.repeat(100)]);
});

test('what was not built is 404, and other methods than reading find no page', async () => {
  for (const path of ['/console/assets/main-0000.js', '/console/assets/..%2findex.html', '/console/assets/'])
    expect((await fetch(`${api.url}${path}`)).status).toBe(404);
  expect((await fetch(`${api.url}/console`, { method: 'POST' })).status).toBe(404);
  expect((await fetch(`${bare.url}/console`)).status).toBe(404);
  expect(await readConsole(join(directory, 'nothing'))).toBeNull();
});

test('calls of the console that do not exist are errors, not pages', async () => {
  const headers = { 'x-thermidora-console': '1' };
  for (const path of ['/console/api/v1', '/console/api/v1/nothing']) {
    const answer = await fetch(`${api.url}${path}`, { headers });
    expect([path, answer.status, answer.headers.get('content-type')]).toEqual([path, 404, 'application/json; charset=utf-8']);
  }
});
