import { existsSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import type { ModuleSource } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface Deadlock {
  arm(): void;
  beforeLock(): Promise<void>;
  afterLock(): Promise<void>;
  sender(request: { type: string; stateLifecycle?: object }, send: Send): Send;
}

type Send = (message: object, ports: readonly object[]) => void;

declare global {
  var realOpenClaw: { entry: string; maintenance: string };
  var forcedDeadlock: Deadlock;
}

// Runs the real gateway with nothing but its timing changed, so that a race which it loses about once in a hundred first
// turns is lost every time: the maintenance of an agent's database takes the lock of the whole state in the moment in
// which the connection to another agent's database is being closed, which needs that lock too.
const { entry, maintenance } = globalThis.realOpenClaw;
const WAIT_MS = 4_000;

/** How long the close of a connection is on its way to its thread, which has no lock with it. */
const CLOSE_MS = 400;

/** For how long the lock is held then: longer than a connection that is being closed tries to get it, twice. */
const HOLD_MS = 12_000;

/** There once it was done: what comes after the restart of the gateway is left alone. */
const MARK = join(process.env['OPENCLAW_STATE_DIR'] ?? '', 'was-locked-out');

let closing: PromiseWithResolvers<void> | null = null;
let isArmed = false;
/** A connection is being closed while the lock is about to be taken. */
let isClosing = false;

globalThis.forcedDeadlock = {
  /** The maintenance of a database is about to take the lock. */
  arm() {
    isArmed = true;
  },
  /** Lets the maintenance wait until a connection is being closed. */
  async beforeLock() {
    if (!isArmed || existsSync(MARK)) return;
    isArmed = false;
    const waiting = Promise.withResolvers<void>();
    closing = waiting;
    const timer = setTimeout(() => waiting.resolve(), WAIT_MS);
    await waiting.promise;
    clearTimeout(timer);
    closing = null;
  },
  /** Holds the lock that was taken while a connection is being closed. */
  async afterLock() {
    if (!isClosing) return;
    isClosing = false;
    writeFileSync(MARK, '');
    await sleep(HOLD_MS);
  },
  /** How a request reaches its thread: the close of a connection takes a while if the maintenance waits for it. */
  sender(request, send) {
    if (closing === null || request.type !== 'close' || request.stateLifecycle !== undefined) return send;
    isClosing = true;
    closing.resolve();
    return (message, ports) => void setTimeout(() => send(message, ports), CLOSE_MS);
  },
};

const PATCHES = [
  {
    file: 'sqlite-worker-store-H5HXDD9v.mjs',
    from: 'slot.worker.postMessage(request, [',
    to: 'globalThis.forcedDeadlock.sender(request, (message, ports) => slot.worker.postMessage(message, ports))(request, [',
  },
  {
    file: 'session-accessor.sqlite-worker-coordination-wh6w_NYn.mjs',
    from: 'async function prepareLifecycleDelegate(context, actorId) {',
    to: 'async function prepareLifecycleDelegate(context, actorId) { await globalThis.forcedDeadlock.beforeLock();',
  },
  {
    file: 'session-accessor.sqlite-worker-coordination-wh6w_NYn.mjs',
    from: 'delegate = await prepareLifecycleDelegate(context, actorId);',
    to: 'delegate = await prepareLifecycleDelegate(context, actorId); await globalThis.forcedDeadlock.afterLock();',
  },
  {
    file: 'session-accessor.sqlite-entry-UCl9kr-O.mjs',
    from: 'return runSqliteSessionReclamation({\n\t\t\t\t\tdiagnostics: { kind: "maintenance-plan" },',
    to: 'globalThis.forcedDeadlock.arm();\nreturn runSqliteSessionReclamation({\n\t\t\t\t\tdiagnostics: { kind: "maintenance-plan" },',
  },
  // As if the configuration said `enforce`, under which the next process could lock itself out by itself.
  ...(maintenance === 'enforce' && !existsSync(MARK)
    ? [
        {
          file: 'session-accessor.sqlite-entry-UCl9kr-O.mjs',
          from: 'let result = maintenance.mode === "warn" ?',
          to: 'let result = false ?',
        },
      ]
    : []),
];

const changed = (file: string) => new Error(`${file} of OpenClaw is not the code that this test was written for`);
for (const { file } of PATCHES) if (!existsSync(join(dirname(entry), file))) throw changed(file);

function textOf(source: ModuleSource | undefined): string {
  if (typeof source === 'string') return source;
  return source ? new TextDecoder().decode(source) : '';
}

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const patches = PATCHES.filter(({ file }) => url.endsWith(`/${file}`));
    if (patches.length === 0) return loaded;
    let source = textOf(loaded.source);
    for (const { file, from, to } of patches) {
      if (!source.includes(from)) throw changed(file);
      source = source.replace(from, to);
    }
    return { ...loaded, source };
  },
});

process.argv[1] = entry;
await import(entry);
