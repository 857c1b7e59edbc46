import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Backups } from './keep-backups.ts';

/** Registers how the backups of this worker stand; both are 0 where it makes none. */
export function registerBackupMetrics(registry: Registry, backups: Pick<Backups, 'state'>): void {
  const gauge = (name: string, help: string, read: () => number) =>
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  gauge('thermidora_backup_last_timestamp_seconds', 'When the newest backup in BACKUP_DIR was taken; 0: there is none', () => {
    return (backups.state()?.lastAt?.getTime() ?? 0) / 1000;
  });
  gauge('thermidora_backup_late', 'Whether the last backup failed, or the newest is two intervals old', () =>
    Number(backups.state()?.isLate ?? false),
  );
}
