import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CHECKSUMS, ensureTemporal } from '../../local/temporal/temporal-binary.ts';

const PINNED = '1.5.1';
const ARCHIVE = `temporal_cli_${PINNED}_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}.tar.gz`;

let home: string;
let bin: string;
let cacheDir: string;
let said: string[];
let server: Server;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'temporal-binary-'));
  [bin, cacheDir, said] = [join(home, 'bin'), join(home, 'cache'), []];
  await mkdir(bin);
  server = createServer((_, response) => response.writeHead(503).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(home, { recursive: true });
});

describe('ensureTemporal', () => {
  test('takes the pinned version from the PATH', async () => {
    await program('temporal', `echo "temporal version ${PINNED} (Server 1.29.1, UI 2.42.1)"`);
    expect(await ensure()).toBe(join(bin, 'temporal'));
    expect(said).toEqual([]);
  });

  test('takes a program on the PATH that Go built from the pinned version', async () => {
    await program('temporal', 'echo "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)"');
    await program('go', `printf '\\tmod\\tgithub.com/temporalio/cli\\tv${PINNED}\\th1:x\\n'`);
    expect(await ensure()).toBe(join(bin, 'temporal'));
  });

  test('passes over another version on the PATH, says so, and builds the pinned one once', async () => {
    await program('temporal', 'echo "temporal version 1.4.0 (Server 1.28.0, UI 2.39.0)"');
    await program('go', `echo "$@" >> ${home}/calls; printf '#!/bin/sh\\n' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`);
    const [first, second] = await Promise.all([ensure(), ensure()]);
    expect([first, second]).toEqual(Array(2).fill(join(cacheDir, `temporal-${PINNED}`, 'temporal')));
    expect(said[0]).toContain('1.4.0');
    expect(await readFile(join(home, 'calls'), 'utf8')).toBe(`install github.com/temporalio/cli/cmd/temporal@v${PINNED}\n`);
    expect((await readdir(cacheDir)).toSorted()).toEqual([`temporal-${PINNED}`, 'temporal.lock']);
  });

  test('downloads the pinned version where it can', async () => {
    const { asked, checksums } = await serveRelease();
    const file = await ensure(checksums);
    await access(file);
    expect(asked).toEqual([`/${ARCHIVE}`]);
    expect(await readdir(dirname(file))).toEqual(['temporal']);
  });

  test('unpacks nothing of an archive that is not the released one, says so, and builds', async () => {
    await serveRelease();
    await program('go', `printf '#!/bin/sh\\nbuilt' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`);
    const file = await ensure({ [ARCHIVE]: '0'.repeat(64) });
    expect(await readFile(file, 'utf8')).toBe('#!/bin/sh\nbuilt');
    expect(said[1]).toContain(`its archive does not have the SHA-256 ${'0'.repeat(64)}`);
    expect(await readdir(dirname(file))).toEqual(['temporal']);
  });

  test('expects the archive of this platform as it was released, and knows those of Linux and macOS', async () => {
    const { asked } = await serveRelease();
    await program('go', `printf '#!/bin/sh\\n' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`);
    await ensure();
    expect(asked).toEqual([`/${ARCHIVE}`]);
    expect(said[1]).toMatch(/does not have the SHA-256 [\da-f]{64}/);
    const platforms = ['darwin_amd64', 'darwin_arm64', 'linux_amd64', 'linux_arm64'];
    expect(Object.keys(CHECKSUMS)).toEqual(platforms.map((platform) => `temporal_cli_${PINNED}_${platform}.tar.gz`));
  });

  test('a failed build leaves nothing and says what to install', async () => {
    await program('go', 'echo "no way to the proxy" >&2; exit 1');
    await expect(ensure()).rejects.toThrow(/no way to the proxy[^]*install Go/);
    expect(await readdir(cacheDir)).toEqual(['temporal.lock']);
  });

  test('without Go it says what to install', async () => {
    await expect(ensure()).rejects.toThrow(/Go was not found[^]*install Go/);
  });
});

/** Without checksums those of the release count. */
function ensure(checksums: Record<string, string> = CHECKSUMS): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const onProgress = (sentence: string) => void said.push(sentence);
  const release = { url: `http://127.0.0.1:${port}`, checksums };
  return ensureTemporal({ cacheDir, env: { PATH: bin, HOME: home }, onProgress, release });
}

/** Has an archive of a program downloaded from the server. */
async function serveRelease(): Promise<{ asked: (string | undefined)[]; checksums: Record<string, string> }> {
  await writeFile(join(home, 'temporal'), '#!/bin/sh\n', { mode: 0o755 });
  await promisify(execFile)('tar', ['-czf', join(home, ARCHIVE), '-C', home, 'temporal']);
  await program('tar', 'exec tar "$@"');
  const archive = await readFile(join(home, ARCHIVE));
  const asked: (string | undefined)[] = [];
  server.removeAllListeners('request').on('request', (request, response) => {
    asked.push(request.url);
    response.end(archive);
  });
  return { asked, checksums: { [ARCHIVE]: createHash('sha256').update(archive).digest('hex') } };
}

/** Puts a shell script on the PATH. */
async function program(name: string, script: string): Promise<void> {
  const file = join(bin, name);
  await writeFile(file, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
  await chmod(file, 0o755);
}
