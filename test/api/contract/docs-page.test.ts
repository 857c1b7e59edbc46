import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.close());

const get = (path: string) => fetch(`${api.url}${path}`);

/** Without what fetch says about caches by itself. */
function statusOf(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve) => {
    request(`${api.url}${path}`, { headers }, (response) => resolve(response.resume().statusCode)).end();
  });
}

test('the reference is a page that loads everything from our own origin and runs nothing of its own', async () => {
  const page = await get('/docs');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  const policy = page.headers.get('content-security-policy');
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).not.toContain('unsafe');
  const html = await page.text();
  expect(html).not.toMatch(/<script>|\son\w+=|style=|https?:/);
  const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => path);
  expect(assets).toHaveLength(4);
  for (const path of assets) {
    const asset = await get(path);
    expect([path, asset.status, asset.headers.get('x-content-type-options')]).toEqual([path, 200, 'nosniff']);
    expect((await asset.arrayBuffer()).byteLength).toBeGreaterThan(20);
  }
});

test('its script asks for the document that is served', async () => {
  const script = await (await get('/docs/start.js')).text();
  const [, url = ''] = /url: "([^"]+)"/.exec(script) ?? [];
  expect(await (await get(url)).json()).toMatchObject({ openapi: '3.1.1' });
});

test('an asset that has not changed is not sent again, and nothing else of the package is', async () => {
  const first = await get('/docs/swagger-ui.css');
  await first.arrayBuffer();
  expect(await statusOf('/docs/swagger-ui.css', { 'if-none-match': first.headers.get('etag') ?? '' })).toBe(304);
  for (const path of ['/docs/package.json', '/docs/..%2fpackage.json', '/docs/index.html', '/docs/oauth2-redirect.html'])
    expect((await get(path)).status).toBe(404);
});
