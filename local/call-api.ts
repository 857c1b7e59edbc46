import type { z } from 'zod';
import { Refusal } from './refusal.ts';

const PATIENCE_MS = 10_000;

interface Call<T> {
  /** What the call is for, as the sentence of a failure names it: "make an invite code". */
  purpose: string;
  /** With its scheme: `http://127.0.0.1:3000/v1/auth/keys`. */
  url: string;
  /** The bearer token; none for public calls. */
  token?: string;
  body: object;
  schema: z.ZodType<T>;
}

/** Posts to the API that has just started and returns what it created. Throws Refusal with the API's answer when it created nothing. */
export async function postToApi<T>({ purpose, url, token, body, schema }: Call<T>): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const answer: unknown = await response.json();
  if (response.status !== 201)
    throw new Refusal(`The API runs but did not ${purpose} (status ${response.status}): ${JSON.stringify(answer)}`);
  return schema.parse(answer);
}

/** The status of a GET with this API key. */
export async function statusWithKey(url: string, apiKey: string): Promise<number> {
  const response = await fetch(url, { headers: { 'x-api-key': apiKey }, signal: AbortSignal.timeout(PATIENCE_MS) });
  await response.body?.cancel();
  return response.status;
}
