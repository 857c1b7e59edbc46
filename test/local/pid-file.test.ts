import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { access, readFile, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { startChild } from '../../local/child.ts';
import { endLeftover, readPidFile } from '../../local/pid-file.ts';
import { isAlive } from '../../runtime/host/process-identity.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();
const HOUR = '3600';

function start(name: string, script: string, env: Record<string, string> = {}) {
  const files = { pidFile: dir.path(`${name}.pid`), logFile: dir.path(`${name}.log`) };
  const program = { command: '/bin/sh', args: ['-c', script], env: { PATH: process.env['PATH'], ...env }, cwd: dir.path() };
  return { ...files, child: startChild(program, files) };
}

async function written(pidFile: string) {
  return eventually(async () => {
    const identity = await readPidFile(pidFile);
    if (!identity) throw new Error('no pid file yet');
    return identity;
  });
}

test('a program finds its own pid file written when it begins', async () => {
  const { child, pidFile, logFile } = start('first', 'echo "$$"; head -n 1 "$PID_FILE"', { PID_FILE: dir.path('first.pid') });
  expect(await child.ended).toBe('ended with exit code 0');
  const [own, recorded] = (await readFile(logFile, 'utf8')).trim().split('\n');
  expect(recorded).toBe(own);
  expect((await readPidFile(pidFile))?.pid).toBe(Number(own));
});

test('what a killed start left behind is ended, and said', async () => {
  const { child, pidFile } = start('left', `exec sleep ${HOUR}`);
  const identity = await written(pidFile);
  const said: string[] = [];
  await endLeftover({ title: 'the relay', pidFile, withinMs: PATIENCE_MS }, (sentence) => said.push(sentence));
  expect(await isAlive(identity)).toBe(false);
  expect(await child.ended).toBe('was killed (SIGTERM)');
  expect(said).toEqual([
    `An earlier npm start was killed and left the relay running (process ${identity.pid}); stopping it first.`,
  ]);
  await expect(access(pidFile)).rejects.toThrow('ENOENT');
});

test('a leftover that does not listen is killed', async () => {
  const { child, pidFile, logFile } = start('deaf', `trap '' TERM; echo deaf; while :; do sleep ${HOUR}; done`);
  await eventually(async () => expect(await readFile(logFile, 'utf8')).toContain('deaf'));
  await endLeftover({ title: 'the relay', pidFile, withinMs: 100 }, () => {});
  expect(await child.ended).toBe('was killed (SIGKILL)');
});

test('another process that has the pid by now is spared', async () => {
  const innocent = spawn('sleep', [HOUR]);
  await once(innocent, 'spawn');
  const pidFile = dir.path('reused.pid');
  await writeFile(pidFile, `${innocent.pid}\n1\n`);
  await endLeftover({ title: 'the API', pidFile, withinMs: 100 }, () => {});
  expect(innocent.exitCode ?? innocent.signalCode).toBeNull();
  innocent.kill('SIGKILL');
});

test.each(['', '12', 'x\ny\n'])('half a pid file names nobody: %j', async (text) => {
  await writeFile(dir.path('half.pid'), text);
  expect(await readPidFile(dir.path('half.pid'))).toBeNull();
});
