import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from '@jest/globals';
import { ensureConsole } from '../support/built-console.ts';

const DIST = join(import.meta.dirname, '../../console/dist');
const LARGEST_BYTES = 250 * 1024;

let html: string;

beforeAll(async () => {
  await ensureConsole();
  html = await readFile(join(DIST, 'index.html'), 'utf8');
});

test('the first page takes at most 250 KiB of compressed JavaScript', async () => {
  const scripts = [...html.matchAll(/(?:src|href)="\/console\/(assets\/[^"]+\.js)"/g)].map(([, path = '']) => path);
  expect(scripts.length).toBeGreaterThan(0);
  const files = await Promise.all(scripts.map((path) => readFile(join(DIST, path))));
  const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  expect(bytes).toBeLessThanOrEqual(LARGEST_BYTES);
  // That of React for development is twice as large and says so.
  for (const file of files) expect(file.toString()).not.toContain('React DevTools');
});

test('the page holds no script and no style of its own, and loads everything from below /console', () => {
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|https?:/);
  const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
  for (const path of loaded) expect(path).toMatch(/^\/console\/assets\//);
});

test('every file but the page has a digest in its name, so that it never changes', async () => {
  for (const name of await readdir(join(DIST, 'assets'))) expect(name).toMatch(/-[\w-]{8}\.(js|css|svg)$/);
});
