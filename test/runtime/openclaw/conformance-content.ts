import { expect } from '@jest/globals';
import { z } from 'zod';
import type { SkillFile } from '../../../runtime/driver.ts';
import { getAgentFiles, setAgentFile } from '../../../runtime/openclaw/content/agent-files.ts';
import { addCron, removeCron, runCron, updateCron } from '../../../runtime/openclaw/content/crons.ts';
import type { CronJob, CronRun, NewCron } from '../../../runtime/gateway/gateway-jobs.ts';
import { syncSecrets } from '../../../runtime/openclaw/content/secret-store.ts';
import { fullTextOfRun } from '../../../runtime/openclaw/conversation/run-text.ts';
import { readSkills, waitForSkills } from '../../../runtime/openclaw/content/skill-liveness.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { listCronRuns, listCrons } from '../../support/cron-lists.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { AGENT } from '../../support/gateway-program.ts';
import { OTHER_AGENT } from './turns-under-test.ts';
import { refusalOf } from './conformance-cases.ts';
import type { Observe } from './conformance-cases.ts';

const never = new AbortController().signal;

const heldJobs = z.object({
  jobs: z.array(z.object({ id: z.string(), state: z.object({ runningAtMs: z.number().optional() }).optional() })),
});

const CRON: NewCron = {
  ...{ cronId: 'cron_same', agentId: AGENT, name: 'Digest', enabled: true },
  ...{ schedule: { kind: 'every', everyMs: 3_600_000 }, message: '[[SAY Nothing new.]]' },
};

const skillOf = (name: string): SkillFile => ({
  content: Buffer.from(`---\nname: ${name}\ndescription: Tells the ${name}.\n---\n\nTell the ${name}.\n`),
  executable: false,
});

const jobOf = ({ id, nextRunAt, updatedAt, ...job }: CronJob): unknown => ({
  ...job,
  has: [id !== '', nextRunAt !== null, updatedAt.getTime() > 0],
});
const runOf = ({ jobId, session, sessionId, runAtMs, endedAtMs, error, summary, ...run }: CronRun): unknown => ({
  ...run,
  has: [
    session?.key.startsWith(`agent:${AGENT}:cron:${jobId}`),
    sessionId !== null,
    runAtMs > 0,
    endedAtMs >= runAtMs,
    error !== null,
  ],
  ...(run.status === 'ok' && { summary }),
});

async function observeRun(client: GatewayClient, jobId: string): Promise<unknown> {
  const runs: CronRun[] = [];
  const finals: string[] = [];
  const stop = client.onEvent((event) => {
    if (event.kind === 'cron-run' && event.run.jobId === jobId) runs.push(event.run);
    if (event.kind === 'final' && event.sessionKey.includes(`:cron:${jobId}`)) finals.push(event.text);
  });
  const begun = await runCron(client, jobId);
  const run = await eventually(() => {
    if (!runs[0]) throw new Error('The run has not ended');
    return runs[0];
  });
  const listed = await eventually(async () => {
    const found = (await listCronRuns(client)).find((one) => one.runAtMs === run.runAtMs);
    if (!found) throw new Error('The run is not listed');
    return found;
  });
  stop();
  return { begun, heard: runOf(run), listed: runOf({ ...listed, jobName: run.jobName, agentId: run.agentId }), finals };
}

/** What an instance holds: jobs, secrets, files and skills. In order: each goes on where the one before ended. */
export const CONTENT_CASES: ReadonlyArray<readonly [string, Observe]> = [
  [
    'jobs',
    async ({ client }) => {
      const job = await addCron(client, CRON);
      const again = await addCron(client, CRON);
      const run = await observeRun(client, job.id);
      const changes = { name: 'Morning', schedule: { kind: 'cron', expr: '0 9 * * 1-5', timeZone: 'Europe/Berlin' } } as const;
      const changed = await updateCron(client, job.id, { ...changes, message: '[[FAIL 400]] fails', enabled: false });
      const failed = await observeRun(client, job.id);
      const listed = (await listCrons(client)).filter(({ isInternal }) => !isInternal);
      await removeCron(client, job.id);
      await removeCron(client, job.id);
      return {
        ...{
          job: jobOf(job),
          isSame: again.id === job.id,
          run,
          changed: changed && jobOf(changed),
          failed,
          listed: listed.map(jobOf),
        },
        left: (await listCrons(client)).filter(({ isInternal }) => !isInternal).length,
        unknown: [await updateCron(client, job.id, { enabled: true }), await runCron(client, job.id)],
        wrong: await refusalOf(
          addCron(client, { ...CRON, cronId: 'cron_wrong', schedule: { kind: 'cron', expr: 'nope', timeZone: null } }),
        ),
        nobody: await refusalOf(addCron(client, { ...CRON, cronId: 'cron_nobody', agentId: 'nope' })),
      };
    },
  ],
  [
    'a run of a job that is under way',
    async ({ client, release }) => {
      const job = await addCron(client, { ...CRON, cronId: 'cron_held', message: '[[HOLD job]] [[SAY Held.]]' });
      const isUnderWay = async (): Promise<boolean> => {
        const { jobs } = heldJobs.parse(await client.request('cron.list', { limit: 200, offset: 0, includeDisabled: true }));
        return jobs.some(({ id, state }) => id === job.id && state?.runningAtMs !== undefined);
      };
      const before = await isUnderWay();
      await runCron(client, job.id);
      await eventually(async () => expect(await isUnderWay()).toBe(true));
      release('job');
      await eventually(async () => expect(await isUnderWay()).toBe(false));
      await removeCron(client, job.id);
      return before;
    },
  ],
  [
    'what the last run of a job and the one before said, read back in full',
    async ({ client }) => {
      const text = (name: string): string => `${name} ${'All is well. '.repeat(300)}The end.`;
      const job = await addCron(client, { ...CRON, cronId: 'cron_long', message: `[[SAY ${text('First.')}]]` });
      await observeRun(client, job.id);
      await updateCron(client, job.id, { message: `[[SAY ${text('Second.')}]]` });
      await observeRun(client, job.id);
      const runs = (await listCronRuns(client)).filter(({ jobId }) => jobId === job.id);
      const read = await Promise.all(runs.map((run) => fullTextOfRun(client, run, null)));
      await removeCron(client, job.id);
      return read;
    },
  ],
  [
    'secrets',
    async ({ client }) => {
      await syncSecrets(
        client,
        new Map([
          ['A_KEY', 'one'],
          ['B_KEY', 'two'],
        ]),
      );
      await syncSecrets(client, new Map([['B_KEY', 'three']]));
      const wrong = await refusalOf(client.request('secrets.store.set', { name: 'no name', value: 'x', kind: 'env' }));
      const { entries } = (await client.request('secrets.store.list', {})) as {
        entries: { name: string; kind: string; value?: string }[];
      };
      return { entries: entries.map(({ name, kind, value }) => ({ name, kind, value })), wrong };
    },
  ],
  [
    'files of agents',
    async ({ client }) => {
      const before = [...(await getAgentFiles(client, OTHER_AGENT)).keys()].filter((name) => name === 'MEMORY.md');
      await setAgentFile(client, { agentId: OTHER_AGENT, name: 'SOUL.md', content: 'calm' });
      return {
        before,
        after: (await getAgentFiles(client, OTHER_AGENT)).get('SOUL.md'),
        other: await refusalOf(client.request('agents.files.set', { agentId: OTHER_AGENT, name: 'other.md', content: 'x' })),
        nobody: await refusalOf(client.request('agents.files.set', { agentId: 'nope', name: 'SOUL.md', content: 'x' })),
      };
    },
  ],
  [
    'skills',
    async ({ gateway, client }) => {
      const taken: unknown[] = [];
      for (const wanted of [
        { bundled: ['weather'], custom: ['digest', 'tides'] },
        { bundled: [], custom: ['tides'] },
        { bundled: [], custom: [] },
      ]) {
        const files = wanted.custom.map((name) => [`${name}/SKILL.md`, skillOf(name)] as const);
        await gateway.setSkills({ bundled: wanted.bundled, custom: new Map(files) });
        await waitForSkills(client, { ...wanted, env: new Map() }, { agentId: AGENT, signal: never, deadlineMs: PATIENCE_MS });
        const seen = await readSkills(client, AGENT);
        taken.push([seen.bundled, seen.custom.toSorted((one, other) => one.localeCompare(other))]);
      }
      return taken;
    },
  ],
];
