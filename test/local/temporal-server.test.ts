import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureTemporalServer, TEMPORAL_SERVER_VERSION } from '../../local/temporal/temporal-server.ts';
import { removeFolder } from '../support/remove-folder.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'temporal-server-'));
  await mkdir(join(home, 'bin'));
});
afterEach(() => removeFolder(home));

test('the server and its schema tool are built once, of one version', async () => {
  await go(
    `echo "$@" >> ${home}/calls; for name in server sql; do printf '#!/bin/sh\\n' > "$GOBIN/$name"; chmod +x "$GOBIN/$name"; done`,
  );
  const [first, second] = await Promise.all([ensure(), ensure()]);
  const directory = join(home, 'cache', `temporal-server-${TEMPORAL_SERVER_VERSION}`);
  expect(first).toEqual({ server: join(directory, 'server'), schemaTool: join(directory, 'sql') });
  expect(second).toEqual(first);
  const packages = ['cmd/server', 'cmd/tools/sql'].map((path) => `go.temporal.io/server/${path}@v${TEMPORAL_SERVER_VERSION}`);
  expect(await readFile(join(home, 'calls'), 'utf8')).toBe(`install ${packages.join(' ')}\n`);
});

test('half an install does not count and leaves nothing', async () => {
  await go(`printf '#!/bin/sh\\n' > "$GOBIN/server"; chmod +x "$GOBIN/server"`);
  await expect(ensure()).rejects.toThrow('the program is missing');
  expect(await readdir(join(home, 'cache'))).toEqual(['temporal-server.lock']);
});

function ensure() {
  return ensureTemporalServer({ cacheDir: join(home, 'cache'), env: { PATH: join(home, 'bin'), HOME: home } });
}

/** Puts a script in the place of Go. */
async function go(script: string): Promise<void> {
  const file = join(home, 'bin', 'go');
  await writeFile(file, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
  await chmod(file, 0o755);
}
