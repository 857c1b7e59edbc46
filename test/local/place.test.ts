import { mkdir, stat, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { openPlace, withPlaceLocked } from '../../local/place.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();

test('a second start on the same DATA_DIR is refused with who runs there and what to do; afterwards it is free again', async () => {
  const place = await openPlace({ projectDir: dir.path('locked'), env: {} });
  await withPlaceLocked(place, async () => {
    await expect(withPlaceLocked(place, async () => 'second')).rejects.toThrow(
      `Thermidora already runs on ${place.dataDir} (process ${process.pid}). Use it, or stop it with Ctrl-C where it runs or with "kill ${process.pid}".`,
    );
  });
  expect(await withPlaceLocked(place, async () => 'later')).toBe('later');
});

test('the environment wins over .env, and an empty value counts as unset in both', async () => {
  const projectDir = dir.path('settings');
  await mkdir(projectDir);
  await writeFile(`${projectDir}/.env`, 'PORT=4000\nHOST=0.0.0.0\nLOG_LEVEL=\n# RELAY_PORT=1\nDATA_DIR=elsewhere\n');
  const { given, dataDir } = await openPlace({ projectDir, env: { PORT: '5000', HOST: '', MAIL_FROM: '' } });
  expect(given).toEqual({ PORT: '5000', HOST: '0.0.0.0', DATA_DIR: 'elsewhere' });
  expect(dataDir).toBe(`${projectDir}/elsewhere`);
});

test('others may pass through DATA_DIR to the database, but see neither logs nor pid files', async () => {
  const place = await openPlace({ projectDir: dir.path('modes'), env: {} });
  const modes = await Promise.all(
    [place.dataDir, place.logDir, place.runDir].map(async (path) => (await stat(path)).mode & 0o777),
  );
  expect(modes).toEqual([0o755, 0o700, 0o700]);
});
