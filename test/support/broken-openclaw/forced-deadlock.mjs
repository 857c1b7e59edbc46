import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

// Runs the real gateway with nothing but its timing changed, so that a race which it loses about once in a hundred first
// turns is lost every time: the maintenance of an agent's database takes the lock of the whole state in the moment in
// which the connection to another agent's database is being closed, which needs that lock too.
const { entry, maintenance } = globalThis.realOpenClaw;
const WAIT_MS = 4_000;

let closing = Promise.withResolvers();
let isArmed = false;

globalThis.forcedDeadlock = {
  /** The maintenance of a database is about to take the lock. */
  arm() {
    isArmed = true;
    closing = Promise.withResolvers();
  },
  /** Lets the maintenance wait until a connection is being closed. */
  async beforeLock() {
    if (!isArmed) return;
    isArmed = false;
    const timer = setTimeout(closing.resolve, WAIT_MS);
    await closing.promise;
    clearTimeout(timer);
  },
  /** A connection is being closed. */
  closes() {
    closing.resolve();
  },
};

const PATCHES = [
  {
    file: /\/openclaw-agent-execution-[\w-]{8}\.mjs$/,
    from: 'await opening.then((store) => store?.close(),',
    to: 'await opening.then((store) => { const closed = store?.close(); globalThis.forcedDeadlock.closes(); return closed; },',
  },
  {
    file: /\/session-accessor\.sqlite-worker-coordination-[\w-]{8}\.mjs$/,
    from: 'async function prepareLifecycleDelegate(context, actorId) {',
    to: 'async function prepareLifecycleDelegate(context, actorId) { await globalThis.forcedDeadlock.beforeLock();',
  },
  {
    file: /\/session-accessor\.sqlite-entry-[\w-]{8}\.mjs$/,
    from: 'return runSqliteSessionReclamation({\n\t\t\t\t\tdiagnostics: { kind: "maintenance-plan" },',
    to: 'globalThis.forcedDeadlock.arm();\nreturn runSqliteSessionReclamation({\n\t\t\t\t\tdiagnostics: { kind: "maintenance-plan" },',
  },
  // As if the configuration said `enforce`.
  ...(maintenance === 'enforce'
    ? [
        {
          file: /\/session-accessor\.sqlite-entry-[\w-]{8}\.mjs$/,
          from: 'let result = maintenance.mode === "warn" ?',
          to: 'let result = false ?',
        },
      ]
    : []),
];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const patches = PATCHES.filter(({ file }) => file.test(url));
    if (patches.length === 0) return loaded;
    let source = String(loaded.source);
    for (const { from, to } of patches) {
      if (!source.includes(from)) throw new Error(`${fileURLToPath(url)} is not the code that this test was written for`);
      source = source.replace(from, to);
    }
    return { ...loaded, source };
  },
});

process.argv[1] = entry;
await import(entry);
