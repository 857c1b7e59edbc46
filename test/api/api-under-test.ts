import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MikroORM } from '@mikro-orm/postgresql';
import type { ConsoleFiles } from '../../api/console/console-files.ts';
import { createRequestMetrics } from '../../api/observe/api-metrics.ts';
import { createApp } from '../../api/http/app.ts';
import type { Operation } from '../../api/contract/define-operation.ts';
import type { Deps } from '../../api/deps.ts';
import { createExplainUnparsed } from '../../api/http/explain-unparsed.ts';
import { createLoginCodes } from '../../api/security/login-code.ts';
import { operations as allOperations } from '../../api/operations/index.ts';
import { createTokens } from '../../api/security/tokens.ts';
import { listenToNotifications } from '../../database/notifications.ts';
import { createOrm, createReservedOrm } from '../../database/orm.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { EXPORTS } from '../../api/operations/account/export-account.ts';
import { createShares } from '../../lib/async/shares.ts';
import { createBackground } from '../../lib/async/background.ts';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { loadConfig } from '../../lib/settings/config.ts';
import { startHttpServer } from '../../lib/net/http-server.ts';
import { createLog } from '../../lib/log.ts';
import { createMail } from '../../lib/net/mail.ts';
import { createMetrics } from '../../lib/metrics.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import { skillHost } from '../../runtime/skill-host.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { createSkillCatalogue } from '../../runtime/openclaw/content/skill-catalogue.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import { turnSettings } from '../../turns/turn-deps.ts';
import { createTurnSender } from '../../turns/turn-sender.ts';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient } from '../support/api-client.ts';
import { asRole, createTestDatabase } from '../support/test-database.ts';
import { startMailbox } from './mailbox.ts';
import type { Mailbox } from './mailbox.ts';
import { removeFolder } from '../support/remove-folder.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-api-under-test';
export const MASTER_KEY = { id: 'test', key: Buffer.alloc(32, 7) };

export type AccountClient = ApiClient & { accountId: string; email: string; token: string };

/** The API in this process, on a database of its own, with a clock that a test moves. No worker: rows stay as they are. */
export interface ApiUnderTest {
  url: string;
  /** Where its instances have their files. */
  dataDir: string;
  deps: Deps;
  /** As the owner of the database, who may do more than the API. */
  orm: MikroORM;
  mailbox: Mailbox;
  /** Calls as nobody. */
  nobody: ApiClient;
  operator: ApiClient;
  /** Registers a new account with this credit and calls with its token. */
  newAccount(options?: { email?: string; creditUsd?: string }): Promise<AccountClient>;
  invite(options?: object): Promise<string>;
  /** Changes rows behind the API's back, as a worker would. */
  sql<T extends object>(statement: string, values?: unknown[]): Promise<T[]>;
  advance(ms: number): void;
  /** Throws when an operation has answered an error that it does not declare. */
  close(): Promise<void>;
}

interface ApiOptions {
  env?: Record<string, string>;
  operations?: readonly Operation[];
  /** Where gateways run; a driver without any by default. */
  driver?: RuntimeDriver;
  /** What is served below /console; nothing by default. */
  consoleFiles?: ConsoleFiles;
}

/** Starts the API. */
export async function startApi(given: ApiOptions = {}): Promise<ApiUnderTest> {
  const { env = {}, operations = allOperations, driver, consoleFiles = null } = given;
  const [database, mailbox, dataDir] = await Promise.all([
    createTestDatabase(),
    startMailbox(),
    mkdtemp(join(tmpdir(), 'api-under-test-')),
  ]);
  const config = loadConfig({
    DATABASE_URL: asRole(database.url, 'api'),
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    MASTER_KEYS: `${MASTER_KEY.id}:${MASTER_KEY.key.toString('base64')}`,
    OPERATOR_TOKEN,
    SMTP_URL: mailbox.url,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'silent',
    // Tests make more calls than one customer does; those of the limits set their own.
    RATE_LIMIT_PER_MINUTE: '1000000',
    AUTH_RATE_LIMIT_PER_MINUTE: '1000000',
    ...env,
  });
  let aheadMs = 0;
  const clock = () => new Date(Date.now() + aheadMs);
  const log = createLog('api', config.LOG_LEVEL);
  const orm = await createOrm(config.DATABASE_URL);
  const owner = await createOrm(database.url);
  const reserved = await createReservedOrm(config.DATABASE_URL);
  const makeId = createIdMaker(randomBytes);
  const notifications = listenToNotifications(config.DATABASE_URL, log);
  const shutdown = new AbortController();
  const usedDriver = driver ?? createDriver(config, null);
  const connections = createGatewayConnections({ endpoints: usedDriver, masterKeys: config.MASTER_KEYS, log });
  const lease = createProcessLease({ orm: reserved, kind: 'api', makeId, log });
  await lease.start();
  const turnSender = createTurnSender({ orm, makeId, clock, log, ...turnSettings(config), connections, lease, notifications });
  const deps: Deps = {
    config,
    orm,
    clock,
    randomBytes,
    makeId,
    log,
    mail: createMail({ url: config.SMTP_URL, from: config.MAIL_FROM, log }),
    tokens: createTokens({ masterKeys: config.MASTER_KEYS, clock, makeId }),
    loginCodes: createLoginCodes(config.MASTER_KEYS, randomBytes),
    background: createBackground(),
    notifications,
    readLog: (_, runtimeId, limit) => usedDriver.logs(runtimeId, limit),
    exports: createShares(EXPORTS),
    files: usedDriver.files,
    connections,
    skillCatalogue: createSkillCatalogue(await skillHost(config, { cacheDir: cacheDirOf(process.env), node: process.execPath })),
    turnSender,
    probeTemporal: async () => 'unknown',
    shutdown: shutdown.signal,
  };
  const undeclared: string[] = [];
  const app = createApp(deps, {
    operations,
    metrics: createRequestMetrics(createMetrics('api'), deps.probeTemporal),
    healthEm: reserved.em,
    consoleFiles,
    reportUndeclared: (operationId, code) => undeclared.push(`${operationId} answered ${code}`),
  });
  const listener = app.callback();
  const server = await startHttpServer((request, response) => void listener(request, response), {
    host: '127.0.0.1',
    port: 0,
    explainUnparsed: createExplainUnparsed(deps),
  });
  const url = `http://127.0.0.1:${server.port}`;
  const nobody = createApiClient(url, {});
  const operator = createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` });
  const invite = async (options: object = {}): Promise<string> => (await operator.ok('POST', '/admin/invites', options)).code;

  return {
    url,
    dataDir,
    deps,
    orm: owner,
    mailbox,
    nobody,
    operator,
    invite,
    async newAccount({ email = `user-${randomBytes(6).toString('hex')}@example.com`, creditUsd } = {}) {
      const inviteCode = await invite(creditUsd === undefined ? {} : { creditUsd });
      const { accountId, token } = await nobody.ok('POST', '/auth/register', { name: 'Test', email, inviteCode });
      return { ...createApiClient(url, { authorization: `Bearer ${token}` }), accountId, email, token };
    },
    sql: (statement, values = []) => owner.em.fork().execute(statement, values),
    advance(ms) {
      aheadMs += ms;
    },
    async close() {
      shutdown.abort();
      await server.drain(5_000);
      await deps.background.idle();
      await turnSender.stop();
      await lease.stop();
      connections.closeAll();
      await notifications.close();
      await Promise.all([orm.close(), reserved.close(), owner.close()]);
      await mailbox.close();
      await database.drop();
      await removeFolder(dataDir);
      if (undeclared.length > 0) throw new Error(undeclared.join('\n'));
    },
  };
}
