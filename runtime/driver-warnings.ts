import type { Config } from '../lib/settings/config.ts';
import { defaultMaxRunning } from '../lib/settings/max-running.ts';

type WarningSettings = Pick<Config, 'RUNTIME' | 'INSTANCE_DISK_MB' | 'INSTANCE_MEMORY_MB' | 'MAX_RUNNING'>;

/** What an operator must know about this way of running instances, to be said at every start. */
export function driverWarnings(config: WarningSettings, totalBytes?: number): string[] {
  const { RUNTIME, INSTANCE_DISK_MB, INSTANCE_MEMORY_MB, MAX_RUNNING } = config;
  switch (RUNTIME) {
    case 'process':
      return [
        'RUNTIME=process does not isolate instances from each other: all agents run as one user of this machine and ' +
          'can read its files and reach its network. Use it for yourself, not for customers who do not trust each other.',
      ];
    case 'kubernetes':
      return [];
    case 'docker': {
      const room = defaultMaxRunning(config, totalBytes);
      return [
        ...(INSTANCE_DISK_MB === undefined
          ? [
              'INSTANCE_DISK_MB is not set: one instance can fill the disk that all of them share. Set it to give each new instance ' +
                'its own disk.',
            ]
          : []),
        ...(MAX_RUNNING > room
          ? [
              `MAX_RUNNING is ${MAX_RUNNING}, and the memory of this machine holds ${room} instances of ${INSTANCE_MEMORY_MB} MiB: when ` +
                'more of them use what they may, the kernel ends some. Lower MAX_RUNNING or INSTANCE_MEMORY_MB.',
            ]
          : []),
      ];
    }
  }
}
