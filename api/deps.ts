import type { MikroORM } from '@mikro-orm/postgresql';
import type { Notifications } from '../database/notifications.ts';
import type { MakeId, RandomBytes } from '../domain/ids.ts';
import type { Background } from '../lib/async/background.ts';
import type { Clock } from '../lib/async/clock.ts';
import type { Shares } from '../lib/async/shares.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import type { Log } from '../lib/log.ts';
import type { Mail } from '../lib/net/mail.ts';
import type { SkillCatalogue } from '../runtime/engine.ts';
import type { RuntimeFiles } from '../runtime/driver-files.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';
import type { TurnSender } from '../turns/turn-sender.ts';
import type { ProbeTemporal } from './observe/probe-temporal.ts';
import type { ReadLog } from './read-log.ts';
import type { LoginCodes } from './security/login-code.ts';
import type { Tokens } from './security/tokens.ts';

/** What the operations work with. `main.ts` builds it, and a test builds it with its own clock. */
export interface Deps {
  config: ConfigOf<'api'>;
  orm: MikroORM;
  clock: Clock;
  randomBytes: RandomBytes;
  makeId: MakeId;
  log: Log;
  mail: Mail;
  tokens: Tokens;
  loginCodes: LoginCodes;
  background: Background;
  notifications: Notifications;
  readLog: ReadLog;
  files: RuntimeFiles;
  /** Exports of accounts that run here. */
  exports: Shares;
  connections: GatewayConnections;
  skillCatalogue: SkillCatalogue;
  turnSender: Pick<TurnSender, 'owner' | 'send' | 'follow'>;
  probeTemporal: ProbeTemporal;
  /** Aborts when the process begins to drain: what waits or streams ends early. */
  shutdown: AbortSignal;
}
