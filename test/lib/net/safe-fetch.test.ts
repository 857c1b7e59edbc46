import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isPublicAddress } from '../../../lib/net/public-address.ts';
import { createSafeFetch } from '../../../lib/net/safe-fetch.ts';
import type { SafeFetch } from '../../../lib/net/safe-fetch.ts';
import { UnsafeTargetError } from '../../../lib/net/safe-lookup.ts';
import { resolvedTargetProblem, targetProblem } from '../../../lib/net/safe-target.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { answering, closing, endless, hanging, startWebhookReceiver } from '../../support/webhook-receiver.ts';
import type { WebhookReceiver } from '../../support/webhook-receiver.ts';

const never = new AbortController().signal;
const request = { headers: {}, body: Buffer.from('{}'), signal: never };

/** Hosts that nobody may reach through us, in the spellings in which they have been tried elsewhere. */
const HOSTILE_HOSTS = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '017700000001',
  '127.0.0.1.',
  '127.255.255.254',
  '0',
  '0.0.0.0',
  '0.0.0.1',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.169.254',
  '169.254.0.1',
  '0xa9fea9fe',
  '2852039166',
  '192.0.0.8',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[::ffff:10.0.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2001::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[ff02::1]',
  '[100::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[5f00::1]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'anything.localhost',
  '①②⑦.⓪.⓪.①',
  '127。0。0。1',
  'intranet',
  '%31%32%37.0.0.1',
];

const HOSTILE_URLS = [
  ...HOSTILE_HOSTS.map((host) => `https://${host}/hook`),
  ...['http://8.8.8.8/', 'ftp://8.8.8.8/', 'file:///etc/passwd', 'gopher://8.8.8.8/', 'data:text/plain,x', 'javascript:1'],
  ...[
    'https://user@8.8.8.8/',
    'https://user:pass@8.8.8.8/',
    'https://8.8.8.8@127.0.0.1/',
    'https://8.8.8.8:x/',
    '//8.8.8.8/',
    '8.8.8.8',
    '',
  ],
  ...[
    'https://127.0.0.1:5432/',
    'https:127.0.0.1/',
    'https:/127.0.0.1/',
    'https:\\\\127.0.0.1\\',
    ' https://127.0.0.1/',
    'https://127.0.0.1#@8.8.8.8/',
  ],
  `https://8.8.8.8/${'x'.repeat(2_100)}`,
];

describe('a target', () => {
  test.each(HOSTILE_URLS)('is not %p', async (url) => {
    expect(targetProblem(url, { allowPrivate: false })).not.toBeNull();
    const fetch = createSafeFetch({ allowPrivate: false, lookup: async () => [{ address: '127.0.0.1', family: 4 }] });
    await expect(fetch.post(url, request)).rejects.toBeInstanceOf(UnsafeTargetError);
    await fetch.close();
  });

  test.each([
    'https://8.8.8.8/hook',
    'https://example.com/hook',
    'https://example.com:8443/a?b=c',
    'https://[2606:4700::1]/',
    'https://EXAMPLE.com./',
  ])('is %p', (url) => expect(targetProblem(url, { allowPrivate: false })).toBeNull());

  test('may be local and without TLS where a setting says so', () => {
    expect(targetProblem('http://localhost:3000/', { allowPrivate: true })).toBeNull();
    expect(targetProblem('http://user@localhost/', { allowPrivate: true })).not.toBeNull();
  });

  test('is no name that resolves to private addresses only; one that does not resolve yet is', async () => {
    const check = (address: string | null) =>
      resolvedTargetProblem('https://example.com/', {
        allowPrivate: false,
        lookup: async () => (address === null ? Promise.reject(new Error('no such name')) : [{ address, family: 4 }]),
        timeoutMs: PATIENCE_MS,
      });
    expect(await check('10.0.0.1')).not.toBeNull();
    expect(await check('8.8.8.8')).toBeNull();
    expect(await check(null)).toBeNull();
  });

  test('has an address that is public in itself, not by what is written into it', () => {
    for (const address of ['1.1.1.1', '8.8.8.8', '2606:4700:4700::1111']) expect(isPublicAddress(address)).toBe(true);
    for (const address of ['::7f00:1', '::ffff:8.8.8.9:1', 'example.com', '']) expect(isPublicAddress(address)).toBe(false);
  });
});

describe('a connection', () => {
  test('goes nowhere when the name changes its answer after the check', async () => {
    const answers = ['8.8.8.8', '127.0.0.1'];
    const asked: string[] = [];
    const lookup = async (hostname: string) => {
      asked.push(hostname);
      return [{ address: answers.shift() ?? '127.0.0.1', family: 4 }];
    };
    const url = 'https://rebinding.example.com/';
    expect(await resolvedTargetProblem(url, { allowPrivate: false, lookup, timeoutMs: PATIENCE_MS })).toBeNull();
    const fetch = createSafeFetch({ allowPrivate: false, lookup });
    await expect(fetch.post(url, request)).rejects.toBeInstanceOf(UnsafeTargetError);
    expect(asked).toEqual(['rebinding.example.com', 'rebinding.example.com']);
    await fetch.close();
  });

  test('uses only the public ones of mixed answers, mapped forms included', async () => {
    for (const address of ['::ffff:127.0.0.1', '::1', '169.254.169.254', '64:ff9b::a00:1']) {
      const fetch = createSafeFetch({
        allowPrivate: false,
        lookup: async () => [{ address, family: address.includes(':') ? 6 : 4 }],
      });
      await expect(fetch.post('https://mixed.example.com/', request)).rejects.toBeInstanceOf(UnsafeTargetError);
      await fetch.close();
    }
  });
});

describe('a request', () => {
  let receiver: WebhookReceiver;
  let fetch: SafeFetch;
  let hasty: SafeFetch;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    fetch = createSafeFetch({ allowPrivate: true, timeoutMs: PATIENCE_MS, bodyTimeoutMs: 2_000 });
    hasty = createSafeFetch({ allowPrivate: true, timeoutMs: 600, bodyTimeoutMs: 300 });
  });
  afterAll(async () => {
    await Promise.all([fetch.close(), hasty.close()]);
    await receiver.close();
  });
  const post = (path: string) => fetch.post(`${receiver.url}${path}`, request);

  test('answers status, Retry-After and text, and follows no redirect', async () => {
    receiver.behave('/busy', answering(503, { 'retry-after': '7' }));
    expect(await post('/busy')).toEqual({ status: 503, retryAfter: '7', text: 'answer 503' });
    receiver.behave('/moved', answering(302, { location: `${receiver.url}/secret` }));
    expect(await post('/moved')).toMatchObject({ status: 302 });
    expect(receiver.received.some(({ path }) => path === '/secret')).toBe(false);
  });

  test('passes over informational answers that nobody asked for', async () => {
    for (const first of [
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 102 Processing\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\nretry-after: 99\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n',
    ]) {
      receiver.behave('/hints', (response) => {
        response.socket?.write(first);
        response.writeHead(503, { 'retry-after': '7' }).end('busy');
      });
      expect([first, await post('/hints')]).toEqual([first, { status: 503, retryAfter: '7', text: 'busy' }]);
    }
  });

  test('gives up on a host that gives informational answers for ever, or changes to another protocol', async () => {
    receiver.behave('/hints-for-ever', (response) => {
      const hint = setInterval(() => response.socket?.write('HTTP/1.1 103 Early Hints\r\nx-a: b\r\n\r\n'), 20);
      response.once('close', () => clearInterval(hint));
    });
    await expect(hasty.post(`${receiver.url}/hints-for-ever`, request)).rejects.toMatchObject({ name: 'TimeoutError' });
    receiver.behave(
      '/upgrade',
      (response) => void response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    );
    await expect(post('/upgrade')).rejects.toThrow('closed before an answer');
  });

  test('ends with the reason of its signal', async () => {
    receiver.behave('/leave', hanging);
    const leave = new AbortController();
    const sent = fetch.post(`${receiver.url}/leave`, { ...request, signal: leave.signal });
    const reason = new Error('the caller leaves');
    await eventually(() => expect(receiver.received.some(({ path }) => path === '/leave')).toBe(true));
    leave.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });

  test('is sent over the connection of the one before it, when that was read whole', async () => {
    const sockets = new Set<unknown>();
    receiver.behave('/kept', (response) => {
      sockets.add(response.socket);
      response.end('ok');
    });
    for (let count = 0; count < 3; count += 1) await post('/kept');
    expect(sockets.size).toBe(1);
  });

  test('gives up on a host that hangs, drips its headers, or closes in the middle of them', async () => {
    receiver.behave('/hang', hanging);
    receiver.behave('/close', closing);
    receiver.behave('/drip-headers', (response) => {
      const drip = setInterval(() => response.socket?.write('x'), 50);
      response.socket?.write('HTTP/1.1 200 OK\r\nx-drip: ');
      response.once('close', () => clearInterval(drip));
    });
    for (const path of ['/hang', '/close', '/drip-headers'])
      await expect(hasty.post(`${receiver.url}${path}`, request)).rejects.toBeDefined();
  });

  test('keeps the first 4 KiB of an endless body and cuts the rest', async () => {
    let wasCut = false;
    receiver.behave('/endless', (response, incoming) => {
      response.once('close', () => void (wasCut = true));
      endless(response, incoming);
    });
    const { status, text } = await post('/endless');
    expect([status, text.length]).toEqual([200, 4_096]);
    await eventually(() => expect(wasCut).toBe(true));
  });

  test('takes what a body that drips has brought in time', async () => {
    receiver.behave('/drip', (response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(drip));
    });
    const { status, text } = await post('/drip');
    expect(status).toBe(200);
    expect(text).toMatch(/^x+$/);
  });

  test('refuses headers without an end', async () => {
    receiver.behave(
      '/headers',
      (response) => void response.socket?.end(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(40_000)}\r\n\r\n`),
    );
    await expect(post('/headers')).rejects.toBeDefined();
  });

  test('verifies certificates', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'certificate-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-subj',
      '/CN=localhost',
    ];
    await promisify(execFile)('openssl', args);
    const server = createHttps(
      { key: await readFile(key), cert: await readFile(cert) },
      (_incoming, response) => void response.end('ok'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // a listening server has an address of this kind
    await expect(fetch.post(`https://localhost:${port}/`, request)).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    server.close();
    await rm(folder, { recursive: true });
  });
});
