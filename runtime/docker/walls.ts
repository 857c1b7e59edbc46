import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { hardening } from './container-profile.ts';
import { removeContainer } from './container-end.ts';
import { parseContainer } from './container-state.ts';
import { EngineError, orElse } from './engine.ts';
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
/** Programs that change the firewall by the older kind of iptables take turns by it. */
const LOCK_FILE = '/run/xtables.lock';
const POLL_MS = 100;
const created = z.looseObject({ Id: z.string() });
const execState = z.looseObject({ ExitCode: z.number().int().nullable() });
const LIMITS = { memoryMb: 64, cpus: 0.5, pids: 32 };

/**
 * Makes the walls around all instances stand, and returns when they do. A container of ours in the host's network puts
 * the rules up and keeps them up, also after a restart of the machine and after the firewall was reloaded. One
 * call at a time on this machine.
 */
export async function ensureWalls(engine: Engine, names: Names, options: WallsOptions): Promise<void> {
  const path = `/containers/${names.walls}`;
  await startWalls(engine, names, wallsContainer(names, options));
  const giveUp = AbortSignal.timeout(UP_MS);
  while (!(await stands(engine, path))) {
    if (giveUp.aborted)
      throw new WallsError(
        `The walls around the instances do not stand. What the container ${names.walls} says tells why (docker logs).`,
      );
    await sleep(POLL_MS);
  }
}

/** Makes it anew where it has other settings. Where there is no lock file it goes without: then nothing uses one. */
async function startWalls(engine: Engine, names: Names, body: WallsContainer): Promise<void> {
  const path = `/containers/${names.walls}`;
  const found = await engine.find(`${path}/json`);
  const current = found === null ? null : parseContainer(found);
  const isCurrent = current?.Config.Labels?.[SETTINGS_LABEL] === body.Labels[SETTINGS_LABEL];
  try {
    if (current && !isCurrent) await removeContainer(engine, names.walls);
    if (!isCurrent) await engine.call('POST', '/containers/create', { query: { name: names.walls }, body });
    // 304: it runs.
    await engine.call('POST', `${path}/start`);
  } catch (error) {
    if (!(error instanceof EngineError) || !error.message.includes(LOCK_FILE)) throw error;
    await removeContainer(engine, names.walls);
    const without = { ...body, HostConfig: { ...body.HostConfig, Mounts: [] } };
    await engine.call('POST', '/containers/create', { query: { name: names.walls }, body: without });
    await engine.call('POST', `${path}/start`);
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

type WallsContainer = ReturnType<typeof wallsContainer>;

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
    .update(JSON.stringify([image, environment, LOCK_FILE]))
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
      // Nothing else of the host's /run, where the engine's socket is.
      Mounts: [{ Type: 'bind', Source: LOCK_FILE, Target: `/host${LOCK_FILE}`, ReadOnly: true }],
    },
  };
}
