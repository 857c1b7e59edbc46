import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { hardening } from './container-profile.ts';
import { removeContainer } from './container-end.ts';
import { parseContainer } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR } from './in-container.ts';
import { INSTALLATION_LABEL } from './names.ts';
import type { Names } from './names.ts';
import { textOfFrames } from './output-frames.ts';

export interface WallsOptions {
  image: string;
  relay: { host: string; port: number };
  egress: 'open' | 'relay-only';
  /** Asked by instances; empty: they resolve no names. */
  resolvers: readonly string[];
  connections: ConnectionLimits;
  /** Whether instances reach the ports of mail servers. */
  mail: boolean;
}

/** What one instance may take of the machine's table of connections, its own to the relay included. */
export interface ConnectionLimits {
  open: number;
  /** New ones, on average. */
  perSecond: number;
}

/** The walls do not stand, so nothing may be started behind them. */
export class WallsError extends Error {}

const SETTINGS_LABEL = 'thermidora.walls';
const SCRIPT = `${OUR_DIR}/runtime/image/walls.sh`;
/** A container takes long to begin its work where the machine is starved. */
const UP_MS = 60_000;
const POLL_MS = 100;
const created = z.looseObject({ Id: z.string() });
const execState = z.looseObject({ ExitCode: z.number().int().nullable() });
const LIMITS = { memoryMb: 64, cpus: 0.5, pids: 32 };

/**
 * Makes the walls around all instances stand, and returns when they do. A container of ours in the host's network puts
 * the rules up and keeps them up, also after a restart of the machine and after somebody has reloaded the firewall. One
 * call at a time on this machine.
 */
export async function ensureWalls(engine: Engine, names: Names, options: WallsOptions): Promise<void> {
  const body = wallsContainer(names, options);
  const path = `/containers/${names.walls}`;
  const found = await engine.find(`${path}/json`);
  const current = found === null ? null : parseContainer(found);
  if (current?.Config.Labels?.[SETTINGS_LABEL] !== body.Labels[SETTINGS_LABEL]) {
    if (current) await removeContainer(engine, names.walls);
    await engine.call('POST', '/containers/create', { query: { name: names.walls }, body });
  }
  // 304: it runs.
  await engine.call('POST', `${path}/start`);
  const giveUp = AbortSignal.timeout(UP_MS);
  while (!(await stands(engine, path))) {
    if (giveUp.aborted)
      throw new WallsError(
        `The walls around the instances do not stand. What the container ${names.walls} says tells why (docker logs).`,
      );
    await sleep(POLL_MS);
  }
}

/** Takes them down. Nothing of this installation may run any more. */
export async function removeWalls(engine: Engine, names: Names): Promise<void> {
  const path = `/containers/${names.walls}`;
  await orElse([404, 409], null, () => command(engine, path, 'remove'));
  await removeContainer(engine, names.walls);
}

async function stands(engine: Engine, path: string): Promise<boolean> {
  return (await orElse([404, 409], null, () => command(engine, path, 'check'))) === 0;
}

async function command(engine: Engine, path: string, word: 'check' | 'remove'): Promise<number | null> {
  const body = { Cmd: [SCRIPT, word], AttachStdout: true, AttachStderr: true };
  const { Id } = created.parse(await engine.call('POST', `${path}/exec`, { body }));
  const output = await engine.stream('POST', `/exec/${Id}/start`, { body: { Detach: false, Tty: false } });
  // It has ended when its output has.
  await textOfFrames(output, { keepBytes: 1024 });
  return execState.parse(await engine.call('GET', `/exec/${Id}/json`)).ExitCode;
}

function wallsContainer(names: Names, { image, relay, egress, resolvers, connections, mail }: WallsOptions) {
  const environment = {
    NAME: `THERMIDORA-${names.installation}`,
    BRIDGES: names.bridgePrefix,
    RELAY: `${relay.host}:${relay.port}`,
    EGRESS: egress,
    RESOLVERS: resolvers.join(' '),
    OPEN: String(connections.open),
    RATE: String(connections.perSecond),
    MAIL: mail ? 'open' : 'closed',
  };
  const settings = createHash('sha256')
    .update(JSON.stringify([image, environment]))
    .digest('hex');
  return {
    Image: image,
    User: '0:0',
    Entrypoint: ['/usr/bin/tini', '--', SCRIPT],
    Cmd: ['keep'],
    Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
    Labels: { [INSTALLATION_LABEL]: names.installation, [SETTINGS_LABEL]: settings },
    HostConfig: {
      ...hardening(LIMITS),
      NetworkMode: 'host',
      CapAdd: ['NET_ADMIN', 'NET_RAW'],
      RestartPolicy: { Name: 'always' },
      // Programs that change the firewall take turns by a lock file there.
      // Not what is mounted below: it would keep the disks of instances in use.
      Mounts: [{ Type: 'bind', Source: '/run', Target: '/host/run', ReadOnly: false, BindOptions: { NonRecursive: true } }],
    },
  };
}
