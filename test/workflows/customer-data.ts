import type proto from '@temporalio/proto';
import { ID_PREFIXES } from '../../domain/ids.ts';

type History = proto.temporal.api.history.v1.History;

/** Every word that our payloads may hold: steps, failures, and what Temporal's library puts beside them. */
const ENUMS = new Set([
  ...['start', 'stop', 'destroy', 'restart', 'apply', 'wait', 'none', 'reconcile', 'sweep', 'drift', 'record', 'failure'],
  ...['gateway_died', 'gateway_config_refused', 'gateway_not_ready', 'gateway_unreachable', 'agents_not_live'],
  ...['storage_refused', 'disk_full', 'step_timed_out', 'unexpected', 'stale_attempt', 'worker_draining', 'database_away'],
  ...['deliver', 'send', 'webhooks', 'retention', 'billing'],
  ...['readTarget', 'readPowerGeneration', 'Keyword', 'TypeScriptSDK'],
]);
const ID = new RegExp(`^((instance|webhook)/)?(${ID_PREFIXES.join('|')})_[a-z0-9]{12,40}$`);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const NUMBER = /^\d+$/;
/** What the server itself says of activities that it ends. */
const SERVER_SENTENCES = new Set(['', 'activity Heartbeat timeout', 'activity StartToClose timeout', 'Activity task failed']);

/** Every text in a history that is no id, no known word, no time and no number: in payloads, failures and summaries. */
export function customerDataIn(history: History): string[] {
  return history.events.flatMap((event) => textsIn(event)).filter((text) => !isHarmless(text));
}

function isHarmless(text: string): boolean {
  if (SERVER_SENTENCES.has(text)) return true;
  return text.split(' ').every((word) => ENUMS.has(word) || ID.test(word) || TIME.test(word) || NUMBER.test(word));
}

/** Payloads and failures are looked for wherever they may stand; all else in an event is Temporal's own. */
function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (!isRecord(value) || ArrayBuffer.isView(value)) return [];
  if (isRecord(value['metadata']) && 'data' in value) return textsOfPayload(value['metadata'], value['data']);
  const own = isFailure(value)
    ? [value['message'], value['stackTrace'], typeOf(value)].filter((text) => typeof text === 'string')
    : [];
  // Fields that a message does not have stand on its prototype.
  return [...own, ...Object.values(value).flatMap(textsIn)];
}

function isFailure(value: Record<string, unknown>): boolean {
  return Object.keys(value).some((key) => key.endsWith('FailureInfo')) || Object.hasOwn(value, 'stackTrace');
}

function typeOf({ applicationFailureInfo: info }: Record<string, unknown>): unknown {
  return isRecord(info) ? info['type'] : undefined;
}

function textsOfPayload(metadata: Record<string, unknown>, data: unknown): string[] {
  const encoding = textOf(metadata['encoding']);
  if (encoding === 'binary/null') return [];
  if (encoding !== 'json/plain') return [`a payload with the encoding ${encoding}`];
  return stringsIn(JSON.parse(textOf(data)));
}

function textOf(bytes: unknown): string {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('utf8') : '';
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(stringsIn);
  return isRecord(value) ? Object.values(value).flatMap(stringsIn) : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
