import { z } from 'zod';
import { Refusal } from './refusal.ts';

const PATIENCE_MS = 10_000;
const invite = z.object({ code: z.string() });

/** Makes an invite code for one account, through the API, as an operator would. Throws Refusal. */
export async function createInvite(apiOrigin: string, operatorToken: string): Promise<string> {
  const response = await fetch(`${apiOrigin}/v1/admin/invites`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json' },
    body: '{}',
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const body: unknown = await response.json();
  if (response.status !== 201)
    throw new Refusal(`The API runs but made no invite code (status ${response.status}): ${JSON.stringify(body)}`);
  return invite.parse(body).code;
}
