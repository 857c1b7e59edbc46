import { z } from 'zod';
import { postToApi } from './call-api.ts';

const invite = z.object({ code: z.string() });

/** Makes an invite code for one account, as an operator would; with an address, for that address only. Throws Refusal. */
export async function createInvite(apiOrigin: string, operatorToken: string, email?: string): Promise<string> {
  const { code } = await postToApi({
    purpose: 'make an invite code',
    url: `${apiOrigin}/v1/admin/invites`,
    token: operatorToken,
    body: email === undefined ? {} : { email },
    schema: invite,
  });
  return code;
}
