import { expect, test } from '@jest/globals';
import { parseCronEvent } from '../../../../runtime/openclaw/content/cron-frames.ts';

/** As a gateway sends it when a run of a job is over. */
function finished(run: object, state: object): unknown {
  const job = { id: 'job_1', agentId: 'alpha', name: 'Digest', enabled: true, updatedAtMs: 5, state };
  return { jobId: 'job_1', action: 'finished', job, runAtMs: 1, durationMs: 2, ...run };
}

test('an event of a run that failed at the model says so as a listed run does, though only its job has the reason', () => {
  const error = 'LLM request failed: provider rejected the request schema or tool payload.';
  const event = parseCronEvent(finished({ status: 'error', error }, { lastErrorReason: 'format' }));
  expect(event).toMatchObject({ kind: 'cron-run', run: { status: 'error', error, errorReason: 'format' } });
});

test('a run that failed for another reason, and one that went well after one that failed, have none', () => {
  const failed = parseCronEvent(finished({ status: 'error', error: 'Agent database cleanup failed' }, {}));
  expect(failed).toMatchObject({ run: { error: 'Agent database cleanup failed', errorReason: null } });
  const well = parseCronEvent(finished({ status: 'ok', summary: 'Done.' }, { lastErrorReason: 'format' }));
  expect(well).toMatchObject({ run: { status: 'ok', error: null, errorReason: null } });
});
