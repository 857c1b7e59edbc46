import { keepResult } from '../../scripts/results.ts';
import { ensureConsole } from '../support/built-console.ts';
import { startStack } from '../support/stack-under-test.ts';
import { closeTestRun, openTestRun } from '../support/test-run.ts';
import { benchApi } from './api.ts';
import { benchBilling } from './billing.ts';
import { benchBudgets } from './budgets.ts';
import { benchColdStart } from './cold-start.ts';
import { benchConsole } from './console.ts';
import { benchContainers } from './containers.ts';
import { benchContent } from './content.ts';
import { benchDoors } from './doors.ts';
import { benchFiles } from './files.ts';
import { benchInstant } from './instant.ts';
import { benchIsolation } from './isolation.ts';
import { benchKubernetes } from './kubernetes.ts';
import { benchMemory } from './memory.ts';
import { benchMessages } from './messages.ts';
import { benchModels } from './models.ts';
import { benchReads } from './reads.ts';
import { benchStreams } from './streams.ts';
import { renderTable, summarize } from './table.ts';
import type { Row } from './table.ts';
import { benchWebhooks } from './webhooks.ts';
import { benchWorkerKill } from './worker-kill.ts';

/** Names of the parts to measure, comma separated; all of them without it. */
const ONLY = process.env['ONLY']?.split(',');
/** How often the slow measurements are made. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
/** Whether to measure what takes over ten minutes: the sleep of ten minutes (half an hour), and a hundred instances (an hour). */
const IS_LONG = process.env['LONG'] === 'true';
/** Where to keep what was measured, as JSON; without it the table is all there is. */
const { RESULTS_DIR } = process.env;

const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);

await openTestRun();
// The API reads it at its start.
await ensureConsole();
try {
  const stack = await startStack({ env: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
  const rows: Row[] = [];
  try {
    const parts = {
      'cold start': benchColdStart,
      instant: benchInstant,
      messages: benchMessages,
      doors: benchDoors,
      models: benchModels,
      console: benchConsole,
      reads: benchReads,
      api: benchApi,
      memory: benchMemory,
      streams: benchStreams,
      'worker kill': benchWorkerKill,
      billing: benchBilling,
      budgets: benchBudgets,
      webhooks: benchWebhooks,
      content: benchContent,
      files: benchFiles,
      isolation: benchIsolation,
      containers: benchContainers,
      kubernetes: benchKubernetes,
    };
    for (const [name, bench] of Object.entries(parts)) {
      if (ONLY && !ONLY.includes(name)) continue;
      say(`Measuring: ${name} ...`);
      const measured = await bench({ stack, rounds: ROUNDS, isLong: IS_LONG, say });
      rows.push(...measured);
      if (RESULTS_DIR === undefined) continue;
      const command = `ONLY='${name}'${IS_LONG ? ' LONG=true' : ''} ROUNDS=${ROUNDS} npm run bench`;
      await keepResult(RESULTS_DIR, { kind: 'bench', name, command, rows: measured.map(summarize) }, new Date());
    }
  } finally {
    await stack.close();
  }
  process.stdout.write(`\n${renderTable(rows)}\n`);
  process.exitCode = rows.some(({ reached }) => reached === false) ? 1 : 0;
} finally {
  await closeTestRun();
}
