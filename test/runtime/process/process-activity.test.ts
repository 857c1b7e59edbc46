import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { activityOfProcess, parseCpuTime } from '../../../runtime/process/process-activity.ts';
import { eventually } from '../../support/eventually.ts';

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that runs this for at most four minutes, as the driver knows it. */
async function running(code: string) {
  const child = spawn(process.execPath, ['-e', `setTimeout(() => process.exit(), 240_000); ${code}`]);
  children.push(child);
  const pid = child.pid!;
  const startTime = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]!;
  return { child, identity: { pid, startTime } };
}

test('CPU time of a process that works grows, and stands still once it is stopped', async () => {
  const { child, identity } = await running('const end = Date.now() + 240_000; while (Date.now() < end);');
  const before = await activityOfProcess(identity);
  await eventually(async () => expect((await activityOfProcess(identity))!.cpuMs).toBeGreaterThan(before!.cpuMs + 100));
  expect(before).toMatchObject({ isFrozen: false });
  child.kill('SIGSTOP');
  const stopped = await eventually(async () => {
    const activity = await activityOfProcess(identity);
    expect(activity).toMatchObject({ isFrozen: true });
    return activity;
  });
  expect(await activityOfProcess(identity)).toEqual(stopped);
  child.kill('SIGCONT');
  await eventually(async () => expect((await activityOfProcess(identity))!.cpuMs).toBeGreaterThan(stopped!.cpuMs));
});

test('a process that is gone, or another one with its pid, has no activity', async () => {
  const { child, identity } = await running('');
  expect(await activityOfProcess({ ...identity, startTime: '1' })).toBeNull();
  child.kill('SIGKILL');
  await eventually(async () => expect(await activityOfProcess(identity)).toBeNull());
});

test('CPU time is read in every form that ps gives it', () => {
  expect(parseCpuTime('0:01.50')).toBe(1_500);
  expect(parseCpuTime('00:01:02')).toBe(62_000);
  expect(parseCpuTime('1-02:03:04')).toBe(93_784_000);
});
