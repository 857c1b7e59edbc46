import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/**
 * What a test file has installed or answering before it runs. `rounds`: it is repeated at random moments.
 * `temporalLibrary`: the native part of Temporal's worker, which runs for as long as the process that has loaded it.
 * `swap`: the machine has some, and its user may move memory there.
 * `wholeMachine`: it leaves no processor time to anything else, measures what it takes itself, or needs more than others leave.
 */
export type Need =
  | 'postgres'
  | 'temporal'
  | 'temporalLibrary'
  | 'temporalServer'
  | 'openclaw'
  | 'engine'
  | 'cluster'
  | 'helm'
  | 'compose'
  | 'chromium'
  | 'schemathesis'
  | 'sdkGenerators'
  | 'sdkPython'
  | 'wholeMachine'
  | 'swap'
  | 'rounds';

/** Of the lightest first. A file is in the last lane that one of its needs names. */
export const LANES = ['unit', 'database', 'temporal', 'gateway', 'campaign', 'docker', 'kubernetes'] as const;
export type Lane = (typeof LANES)[number];

const LANE_OF: Record<Need, Lane> = {
  postgres: 'database',
  temporal: 'temporal',
  temporalLibrary: 'temporal',
  temporalServer: 'temporal',
  openclaw: 'gateway',
  wholeMachine: 'unit',
  swap: 'unit',
  chromium: 'gateway',
  schemathesis: 'campaign',
  sdkGenerators: 'gateway',
  sdkPython: 'gateway',
  rounds: 'campaign',
  engine: 'docker',
  cluster: 'kubernetes',
  helm: 'kubernetes',
  compose: 'docker',
};

/** Modules that start or install something: importing these names, or any name (`*`), is what a file needs it by. */
const STARTERS: Record<string, Record<string, readonly Need[]>> = {
  'local/postgres/postgres.ts': { startPostgres: ['postgres'] },
  'runtime/engine.ts': { ensureOpenClaw: ['openclaw'] },
  'runtime/openclaw/install/installation.ts': { ensureOpenClaw: ['openclaw'] },
  'scripts/sdk/generators.ts': { ensureGenerators: ['sdkGenerators'] },
  'test/support/campaign.ts': { campaignRounds: ['rounds'] },
  'test/support/chromium.ts': { '*': ['chromium'] },
  'test/support/docker-compose.ts': { '*': ['compose'] },
  'test/support/event-loop-stand.ts': { '*': ['wholeMachine'] },
  'test/support/docker-under-test.ts': { '*': ['engine'] },
  // Its `cluster` stops parts of the cluster that all tests share.
  'test/support/kubernetes-under-test.ts': { '*': ['cluster', 'engine'], cluster: ['wholeMachine'] },
  'test/support/helm.ts': { '*': ['helm'] },
  'test/support/npm-start.ts': { '*': ['temporal', 'openclaw'] },
  // It installs for the files that a run has chosen.
  'test/support/prepare-tests.ts': {},
  'test/support/schemathesis.ts': { '*': ['schemathesis'] },
  'test/support/sdk-python.ts': { '*': ['sdkPython'] },
  'test/support/swap-under-test.ts': { '*': ['swap'] },
  'test/support/starve-machine.ts': { '*': ['wholeMachine'] },
  'test/support/temporal-programs.ts': { newTemporal: ['temporal'], productionTemporal: ['temporalServer'] },
  'worker/temporal/temporal-logging.ts': { '*': ['temporalLibrary'] },
  'worker/temporal/temporal-workers.ts': { '*': ['temporalLibrary'] },
};

/** `import {…} from './x.ts'` and `export … from` but for types, and `import('./x.ts')`, as the formatter writes them. */
const IMPORT = /^(?:import|export)\s(?!type\s)(?:([^;']*?)\sfrom\s)?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm;

interface Import {
  /** From the root of the project. */
  module: string;
  /** Null: all of them. */
  names: string[] | null;
}

/** Every test file below this folder, from it, with what it needs. */
export function testFiles(rootDir: string): Map<string, ReadonlySet<Need>> {
  const files = globSync('test/**/*.test.ts', { cwd: rootDir }).map((file) => file.replaceAll('\\', '/'));
  const imports = new Map<string, Import[]>();
  return new Map(files.toSorted().map((file) => [file, needsOf(file, rootDir, imports)]));
}

/** The lane of a file that needs this. */
export function laneOf(needs: ReadonlySet<Need>): Lane {
  const lanes = [...needs].map((need) => LANES.indexOf(LANE_OF[need]));
  return LANES[Math.max(0, ...lanes)] ?? 'unit';
}

/** Follows the imports of a file through test/, up to the modules that start something. */
function needsOf(file: string, rootDir: string, known: Map<string, Import[]>): ReadonlySet<Need> {
  const needs = new Set<Need>();
  const seen = new Set([file]);
  for (const module of seen)
    for (const imported of importsOf(module, rootDir, known)) {
      const starts = STARTERS[imported.module];
      for (const [name, started] of Object.entries(starts ?? {}))
        if (name === '*' || (imported.names?.includes(name) ?? true)) for (const need of started) needs.add(need);
      if (!starts && imported.module.startsWith('test/')) seen.add(imported.module);
    }
  return needs;
}

function importsOf(module: string, rootDir: string, known: Map<string, Import[]>): Import[] {
  const before = known.get(module);
  if (before) return before;
  // A module that is missing is the fault of the test that imports it, not of the whole run.
  const file = join(rootDir, module);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const found = [...text.matchAll(IMPORT)].map(([, clause, from, dynamic]) => ({
    module: posix.join(posix.dirname(module), from ?? dynamic ?? ''),
    names:
      /\{([^}]*)\}/
        .exec(clause ?? '')?.[1]
        ?.split(',')
        .map((name) => name.trim().split(/\s/)[0] ?? '') ?? null,
  }));
  known.set(module, found);
  return found;
}
