import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { retryAfterMs } from '../../domain/webhooks/retry-schedule.ts';
import { CONTENT_FILTER } from '../../domain/turn.ts';
import type { Log } from '../../lib/log.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { RelayError } from '../relay-error.ts';

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_MESSAGE_CHARACTERS = 1_000;
const MAX_CODE_CHARACTERS = 100;
/** The words of a refusal are worth no longer wait. */
const ERROR_BODY_MS = 5_000;

/** What errors of OpenAI's wire and of Anthropic's have in common. */
const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string().nullish(),
    code: z.union([z.string(), z.number()]).nullish(),
  }),
});

/** Told to the caller where a setting of ours is at fault. */
export const CANNOT_BE_CALLED = 'The model cannot be called at the moment. Only the operator of the platform can change that.';

type ProviderError = z.infer<typeof errorBody>['error'];

/** The request itself is at fault, and the gateway acts on the words: a prompt that is too long is made shorter. */
const FAULT_OF_REQUEST = [400, 413, 422];

/**
 * Our account with the provider is at fault. A gateway that reads such words, under any status, takes its provider out
 * of service for a minute or more, so they are never passed on. Wide on purpose: at worst a caller is told less.
 */
const ABOUT_ACCOUNT =
  /api[ _-]?key|unauthori[sz]ed|authenticat|forbidden|access denied|permission|credential|expired|invalid token|deactivated|disabled|billing|\bcredits?\b|balance|budget|quota|payment|subscription|spend(ing)? limit|usage limit|\b40[123]\b/i;

/** Turns a provider's refusal into the error for the caller: its status, and its words where they help. */
export async function refusalOf(answer: IncomingMessage, provider: string, log: Log): Promise<RelayError> {
  const { statusCode: status = 0 } = answer;
  const said = await errorOf(answer);
  if (status < 400) {
    return new RelayError(502, `The model provider redirects (${status}), which is not followed.`, {
      advice: `The provider "${provider}" redirects calls. Use the address that it redirects to as its url.`,
    });
  }
  const retryAfterSeconds = secondsOf(answer.headers['retry-after']);
  return refusalFor({ status, said, retryAfterSeconds }, provider, log);
}

interface Refusal {
  status: number;
  said: ProviderError | null;
  retryAfterSeconds?: number | undefined;
}

/** The error for the caller of a provider that refused in these words, or in none. */
export function refusalFor({ status, said, retryAfterSeconds }: Refusal, provider: string, log: Log): RelayError {
  if (status < 500 && isAboutAccount(status, said)) {
    log.error(
      { status, provider },
      'the model provider rejects our account: check its key, and the credit and limits of the account',
    );
    return new RelayError(
      400,
      'The model provider does not accept requests of this platform at the moment. Only the operator of the platform can change that.',
      {
        isOurFault: true,
        advice: `The provider "${provider}" rejects our account (${status}). Check its key, and the credit, limits and rights of the account.`,
      },
    );
  }
  if (said && FAULT_OF_REQUEST.includes(status)) {
    const message = said.message.slice(0, MAX_MESSAGE_CHARACTERS);
    return new RelayError(status, message, {
      code: codeOf(said),
      advice: `The provider "${provider}" refuses the request: ${message}`,
    });
  }
  if (status === 404) {
    log.error(
      { status, provider },
      'the model provider does not know a model: check its upstream in MODELS, and the url of the provider',
    );
    const advice = `The provider "${provider}" does not know the model, or its url is wrong (404). Check upstream and url.`;
    return new RelayError(404, CANNOT_BE_CALLED, { isOurFault: true, advice });
  }
  return new RelayError(status, `The model provider answered ${status}. Try again in a moment.`, {
    retryAfterSeconds,
    advice: `The provider "${provider}" answered ${status}.`,
  });
}

/** Statuses of the errors that come as an event of a stream that was begun with 200, by their types and codes. */
const STATUS_OF_NAME: Readonly<Record<string, number>> = {
  overloaded_error: 529,
  rate_limit_error: 429,
  timeout_error: 504,
  invalid_request_error: 400,
  context_length_exceeded: 400,
  [CONTENT_FILTER]: 400,
};

/** The error that this event of a stream is; null when it is none. */
export function errorInEvent(json: string, provider: string, log: Log): RelayError | null {
  const parsed = errorBody.safeParse(jsonOrNull(json));
  if (!parsed.success) return null;
  const { error } = parsed.data;
  return refusalFor({ status: statusOf(error), said: error }, provider, log);
}

/** Many providers give the status as the code. What says nothing of itself may pass. */
function statusOf({ type, code }: ProviderError): number {
  const named = STATUS_OF_NAME[type ?? ''] ?? STATUS_OF_NAME[String(code)];
  if (named !== undefined) return named;
  const status = Number(code ?? 0);
  return Number.isInteger(status) && status >= 400 && status < 600 ? status : 502;
}

/** The provider's code; the one word that we go by for what a filter kept back, which Anthropic says in a sentence. */
function codeOf({ code, message }: ProviderError): string | undefined {
  if (/content filtering policy/i.test(message)) return CONTENT_FILTER;
  return code == null ? undefined : String(code).slice(0, MAX_CODE_CHARACTERS);
}

function secondsOf(retryAfter: string | undefined): number | undefined {
  const waitMs = retryAfterMs(retryAfter ?? null, new Date());
  return waitMs === null ? undefined : waitMs / 1_000;
}

function isAboutAccount(status: number, said: ProviderError | null): boolean {
  return (status >= 401 && status <= 403) || ABOUT_ACCOUNT.test(`${said?.message} ${said?.type} ${said?.code}`);
}

async function errorOf(body: IncomingMessage): Promise<ProviderError | null> {
  const giveUp = setTimeout(() => body.destroy(), ERROR_BODY_MS);
  try {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      const part = z.instanceof(Uint8Array).parse(chunk);
      bytes += part.length;
      if (bytes > MAX_ERROR_BYTES) return null;
      parts.push(part);
    }
    return errorBody.parse(JSON.parse(Buffer.concat(parts).toString())).error;
  } catch {
    return null;
  } finally {
    clearTimeout(giveUp);
  }
}
