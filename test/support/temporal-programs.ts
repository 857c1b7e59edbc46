import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { devServerArguments } from '../../local/temporal/temporal-arguments.ts';
import { ensureTemporal } from '../../local/temporal/temporal-binary.ts';
import { ensureTemporalServer } from '../../local/temporal/temporal-server.ts';
import { freePort } from '../../runtime/host/free-port.ts';
import { createEmptyDatabase } from './test-database.ts';

/** How a Temporal is started. It keeps what it knows over restarts. */
export interface TemporalProgram {
  command: string;
  args: string[];
  env: Record<string, string>;
}

const LOOPBACK = '127.0.0.1';
const DEPLOY = join(import.meta.dirname, '../../deploy');

/** Whether this run is against the production server (`TEMPORAL=production`) instead of the development one. */
export const isProductionTemporal = process.env['TEMPORAL'] === 'production';

/** A Temporal that knows nothing yet, of the kind that this run is against. The folder must stay. */
export async function newTemporal(port: number, directory: string): Promise<TemporalProgram> {
  return isProductionTemporal ? productionTemporal(port) : developmentTemporal(port, directory);
}

async function developmentTemporal(port: number, directory: string): Promise<TemporalProgram> {
  const command = await ensureTemporal({ cacheDir: cacheDirOf(process.env), env: process.env });
  const databaseFile = join(directory, `temporal-${randomBytes(4).toString('hex')}.db`);
  return { command, args: devServerArguments({ port, databaseFile, searchAttributes: [] }), env: ownEnvironment() };
}

/** The server of docker-compose.yml with the same schema job and settings, on this run's PostgreSQL. */
export async function productionTemporal(port: number): Promise<TemporalProgram> {
  const programs = await ensureTemporalServer({ cacheDir: cacheDirOf(process.env), env: process.env });
  const [store, visibility] = await Promise.all([createEmptyDatabase(), createEmptyDatabase()]);
  await promisify(execFile)('/bin/sh', [join(DEPLOY, 'temporal-schema.sh')], {
    env: {
      ...ownEnvironment(),
      SQL_TOOL: programs.schemaTool,
      SQL_HOST: store.hostname,
      SQL_PORT: store.port,
      SQL_USER: store.username,
      SQL_PASSWORD: store.password,
      TEMPORAL_DATABASE: databaseOf(store),
      TEMPORAL_VISIBILITY_DATABASE: databaseOf(visibility),
    },
  });
  return {
    command: programs.server,
    args: ['--allow-no-auth', 'start'],
    env: {
      ...ownEnvironment(),
      DB: 'postgres12_pgx',
      POSTGRES_SEEDS: store.hostname,
      DB_PORT: store.port,
      POSTGRES_USER: store.username,
      POSTGRES_PWD: store.password,
      DBNAME: databaseOf(store),
      VISIBILITY_DBNAME: databaseOf(visibility),
      NUM_HISTORY_SHARDS: '4',
      BIND_ON_IP: LOOPBACK,
      TEMPORAL_BROADCAST_ADDRESS: LOOPBACK,
      LOG_LEVEL: 'warn',
      DYNAMIC_CONFIG_FILE_PATH: join(DEPLOY, 'temporal-dynamic-config.yaml'),
      ...(await portsOf(port)),
    },
  };
}

/** Two of them may run on this machine, so none has the ports that it would choose itself. */
async function portsOf(frontend: number): Promise<Record<string, string>> {
  const services = ['HISTORY', 'MATCHING', 'WORKER'];
  const names = [
    ...['FRONTEND', ...services].map((service) => `${service}_MEMBERSHIP_PORT`),
    ...services.map((service) => `${service}_GRPC_PORT`),
    'FRONTEND_HTTP_PORT',
  ];
  // The first of them is taken already. Its table of members has room for ports up to 32767 only, as these are.
  const ports = new Set([frontend]);
  while (ports.size <= names.length) ports.add(await freePort(null));
  const given = Object.fromEntries([...ports].slice(1).map((port, index) => [names[index], String(port)]));
  return { ...given, FRONTEND_GRPC_PORT: String(frontend) };
}

function databaseOf({ pathname }: URL): string {
  return pathname.slice(1);
}

function ownEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
}
