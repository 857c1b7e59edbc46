import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { retryAfterMs } from '../domain/retry-schedule.ts';
import type { Log } from '../lib/log.ts';
import { RelayError } from './relay-error.ts';

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_MESSAGE_CHARACTERS = 1_000;
const MAX_CODE_CHARACTERS = 100;
/** The words of a refusal are worth no longer wait. */
const ERROR_BODY_MS = 5_000;

/** What the providers that speak OpenAI's protocol have in common in their errors. */
const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string().nullish(),
    code: z.union([z.string(), z.number()]).nullish(),
  }),
});

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
export async function refusalOf(answer: IncomingMessage, log: Log): Promise<RelayError> {
  const { statusCode: status = 0 } = answer;
  const said = await errorOf(answer);
  if (status < 400) return new RelayError(502, `The model provider redirects (${status}), which is not followed.`);
  if (status < 500 && isAboutAccount(status, said)) {
    log.error(
      { status },
      'the model provider rejects our account: check MODEL_UPSTREAM_KEY, and the credit and limits of the account',
    );
    return new RelayError(
      400,
      'The model provider does not accept requests of this platform at the moment. Only the operator of the platform can change that.',
    );
  }
  if (said && FAULT_OF_REQUEST.includes(status)) {
    const code = said.code == null ? undefined : String(said.code).slice(0, MAX_CODE_CHARACTERS);
    return new RelayError(status, said.message.slice(0, MAX_MESSAGE_CHARACTERS), { code });
  }
  return new RelayError(status, `The model provider answered ${status}. Try again in a moment.`, {
    retryAfterSeconds: secondsOf(answer.headers['retry-after']),
  });
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
