import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import type { RuntimeExit } from '../driver.ts';
import { settledExit } from './gateway-process.ts';
import { readRecord } from './gateway-record.ts';
import type { GatewayRecord } from './gateway-record.ts';
import { isAlive } from '../host/process-identity.ts';
import { gatewayPathsOf } from '../host/runtime-layout.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';

/**
 * When and how the last gateway ended; null while one runs and when none was ever started. When the wrapper died
 * with it (a reboot, a kill of the whole session) the time is that of the gateway's last trace, at most about half a
 * minute early: it renews its lease in the state database that often.
 */
export async function exitOfGateway(layout: RuntimeLayout): Promise<RuntimeExit | null> {
  const record = await readRecord(layout);
  if (!record || (await isAlive(record))) return null;
  const exit = await settledExit(layout, record);
  if (!exit) return { at: await lastTraceOf(layout, record), code: null, signal: null };
  const signal = signalNumbered(exit.shellCode - 128);
  return { at: exit.at, code: signal ? null : exit.shellCode, signal };
}

function signalNumbered(number: number): string | null {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
}

async function lastTraceOf(layout: RuntimeLayout, record: GatewayRecord): Promise<Date> {
  const database = join(layout.stateDir, 'state', 'openclaw.sqlite');
  const traces = [layout.outputFile, gatewayPathsOf(layout).logFile, database, `${database}-wal`];
  const times = await Promise.all(traces.map(modifiedAt));
  return new Date(Math.max(record.startedAt.getTime(), ...times));
}

async function modifiedAt(file: string): Promise<number> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}
