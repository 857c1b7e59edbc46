import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { ApiError, Thermidora, ThermidoraError } from '../../src/index.ts';
import type { AnswerOf } from '../../src/index.ts';
import { isObject } from '../../src/errors.ts';
import type { Context } from '../context.ts';
import { EXIT, UserError } from '../io.ts';
import { writeJson, writeLine } from '../output.ts';
import { findAccess, findUrl, loginFile } from '../settings.ts';

const PATIENCE_MS = 10_000;
const CLOCK_OFF_MS = 60_000;
const FEW_HOURS = 24;
const MOST_LOOKED_AT = 200;
/** What waits for longer shows that a part does not keep up. */
const LATE_SECONDS = 60;

/** What was looked at: a sentence, and whether something has to be done. */
interface Finding {
  ok: boolean;
  text: string;
}

/** `doctor`: what is wrong between this machine and an installation, in sentences. */
export function addDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('Check this machine, the API and your account for problems')
    .action(async () => {
      const found: Finding[] = [];
      for await (const finding of examine(context)) {
        found.push(finding);
        if (!context.isJson()) writeLine(context.io, `${finding.ok ? 'ok     ' : 'PROBLEM'}  ${finding.text}`);
      }
      if (context.isJson()) writeJson(context.io, found);
      const problems = found.filter(({ ok }) => !ok).length;
      if (problems > 0)
        throw new UserError(`${problems} ${problems === 1 ? 'problem was' : 'problems were'} found.`, EXIT.failed);
    });
}

async function* examine(context: Context): AsyncGenerator<Finding, void, undefined> {
  const baseUrl = await findUrl(context.io);
  yield* examineLogin(context);
  if (!(yield* examineApi(baseUrl))) return;
  yield* examineAccount(context);
  if (context.io.env['THERMIDORA_OPERATOR_TOKEN']) yield* examineInstallation(context);
}

async function* examineLogin({ io }: Context): AsyncGenerator<Finding, void, undefined> {
  const file = loginFile(io);
  const mode = (await stat(file).catch(() => null))?.mode;
  if (mode !== undefined && (mode & 0o077) !== 0 && process.platform !== 'win32')
    yield { ok: false, text: `${file} can be read by other users of this machine: chmod 600 ${file}` };
}

/** Answers whether it is worth going on. */
async function* examineApi(baseUrl: string): AsyncGenerator<Finding, boolean, undefined> {
  if (!URL.canParse(baseUrl) || !baseUrl.endsWith('/v1')) {
    yield { ok: false, text: `The address of the API, ${baseUrl}, is not a URL that ends with /v1.` };
    return false;
  }
  let response: Response;
  let state: unknown;
  try {
    response = await fetch(new URL('/readyz', baseUrl), { signal: AbortSignal.timeout(PATIENCE_MS), redirect: 'error' });
    state = JSON.parse(await response.text());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    yield { ok: false, text: `${baseUrl} does not answer as the API does (${why}). Is it running, and is the address right?` };
    return false;
  }
  const fields = isObject(state) ? state : {};
  const isReady = fields['status'] === 'ready';
  if (isReady) yield { ok: true, text: `${baseUrl} is ready.` };
  else if (fields['database'] === 'down') yield { ok: false, text: 'The API cannot reach its database.' };
  else if (fields['draining'] === true) yield { ok: false, text: 'The API is about to stop.' };
  else yield { ok: false, text: `${baseUrl} is not ready.` };
  if (fields['temporal'] === 'down')
    yield { ok: false, text: 'Temporal cannot be reached: instances do not start or stop until it is back. Messages work.' };
  const off = Math.abs(Date.now() - Date.parse(response.headers.get('date') ?? ''));
  if (off > CLOCK_OFF_MS) {
    const seconds = Math.round(off / 1_000);
    yield { ok: false, text: `The clock of this machine is ${seconds} seconds off that of the API: webhooks would be refused.` };
  }
  return isReady;
}

async function* examineAccount(context: Context): AsyncGenerator<Finding, void, undefined> {
  const access = await findAccess(context.io);
  if (!access) {
    yield { ok: false, text: 'You are not signed in: run `thermidora login`, or set THERMIDORA_API_KEY.' };
    return;
  }
  const client = new Thermidora({ baseUrl: access.baseUrl, ...access.credentials });
  try {
    const { email, balanceUsd } = await client.auth.me();
    yield { ok: true, text: `Signed in as ${email} (${access.source}).` };
    const { hoursLeft } = await client.billing.forecast();
    const left = hoursLeft === null ? '' : `, good for ${Math.floor(hoursLeft)} hours at the present rate`;
    yield {
      ok: balanceUsd > 0 && (hoursLeft ?? FEW_HOURS) >= FEW_HOURS,
      text: `The balance is ${balanceUsd.toFixed(2)} USD${left}.`,
    };
    const { models } = await client.models.list();
    if (models.length === 0) yield { ok: false, text: 'The installation offers no models, so no agent can answer.' };
    yield* examineInstances(client);
    yield* examineWebhooks(client);
  } catch (error) {
    if (!(error instanceof ThermidoraError)) throw error;
    const isRefused = error instanceof ApiError && error.status === 401;
    yield {
      ok: false,
      text: isRefused ? `${access.source} is not valid any more: sign in again, or use another key.` : error.message,
    };
  }
}

async function* examineInstances(client: Thermidora): AsyncGenerator<Finding, void, undefined> {
  let count = 0;
  for await (const { instanceId, name, status, statusReason, statusStale } of client.instances.list({ limit: MOST_LOOKED_AT })) {
    if ((count += 1) > MOST_LOOKED_AT) break;
    const which = `${name} (${instanceId})`;
    if (statusReason) yield { ok: status !== 'error', text: `${which} is ${status}: ${statusReason.message}` };
    else if (status === 'error') yield { ok: false, text: `${which} is in error. Start it again or delete it.` };
    if (statusStale)
      yield { ok: false, text: `No worker watches the gateway of ${which} at the moment. Check that a worker is running.` };
  }
  yield { ok: true, text: `${Math.min(count, MOST_LOOKED_AT)} instances were looked at.` };
}

async function* examineWebhooks(client: Thermidora): AsyncGenerator<Finding, void, undefined> {
  for await (const { webhookId, url, enabled } of client.webhooks.list())
    if (!enabled) yield { ok: false, text: `${webhookId} to ${url} is disabled: nothing is delivered there.` };
}

async function* examineInstallation(context: Context): AsyncGenerator<Finding, void, undefined> {
  try {
    const { operator } = await context.operator();
    yield* examineParts(await operator.health.get());
    const { instances } = await operator.instances.list({ stuck: 'true' }).page();
    if (instances.length === 0) yield { ok: true, text: 'No instance of any account is stuck.' };
    for (const { instanceId, status, statusReason, workflowId } of instances)
      yield {
        ok: false,
        text: `${instanceId} is stuck (${status}${statusReason ? `: ${statusReason.message}` : ''}). Its workflow is ${workflowId}.`,
      };
  } catch (error) {
    if (!(error instanceof ThermidoraError)) throw error;
    yield { ok: false, text: `THERMIDORA_OPERATOR_TOKEN: ${error.message}` };
  }
}

function* examineParts({ processes, wakeUps, deliveries, modelCalls, unowned }: AnswerOf<'health.get'>): Generator<Finding> {
  const workers = processes.worker;
  yield workers > 0
    ? { ok: true, text: `${workers} ${workers === 1 ? 'worker runs' : 'workers run'}.` }
    : { ok: false, text: 'No worker runs: instances do not start or stop. Start one.' };
  if (wakeUps.oldestSeconds > LATE_SECONDS)
    yield {
      ok: false,
      text: `${wakeUps.count} wake-ups of workflows wait, the oldest for ${Math.round(wakeUps.oldestSeconds)} seconds: look at Temporal and the workers.`,
    };
  if (deliveries.oldestSeconds > LATE_SECONDS)
    yield { ok: false, text: `Webhook deliveries are late by ${Math.round(deliveries.oldestSeconds)} seconds.` };
  if (modelCalls.troubled > 0)
    yield { ok: false, text: `${modelCalls.troubled} models do not answer: \`thermidora operator models\` says why.` };
  if (unowned.left > 0)
    yield {
      ok: false,
      text: `${unowned.left} runtimes belong to no instance and were left as they are: see \`thermidora operator quarantine\`.`,
    };
}
