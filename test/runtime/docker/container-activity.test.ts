import { expect, test } from '@jest/globals';
import { activityOfContainer, parseContainer } from '../../../runtime/docker/container-state.ts';

const state = {
  ...{ Status: 'running', Running: true, Pid: 1, ExitCode: 0, OOMKilled: false },
  ...{ StartedAt: '2026-11-30T12:00:00Z', FinishedAt: '0001-01-01T00:00:00Z' },
};
const container = (over: object) =>
  parseContainer({ Id: 'c1', Image: 'i1', Config: { User: '1000:1000' }, State: { ...state, ...over }, NetworkSettings: {} });
const stats = { cpu_stats: { cpu_usage: { total_usage: 12_345_000_000, usage_in_usermode: 1 }, online_cpus: 2 } };

test('the CPU time of a container is what its engine counts in nanoseconds', () => {
  expect(activityOfContainer(container({}), stats)).toEqual({ cpuMs: 12_345, isFrozen: false });
});

test('a container that was paused is frozen', () => {
  expect(activityOfContainer(container({ Paused: true }), stats)).toMatchObject({ isFrozen: true });
});
