import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AgentsNotLiveError } from '../../gateway/gateway-errors.ts';
import type { SeenSkills, WantedSkills } from '../../gateway/gateway.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';

const POLL_MS = 100;
/** Long enough for the new configuration to be taken up. A blank value counts as none to a gateway, however long one waits. */
const VARIABLES_MS = 5_000;

const statusAnswer = z.looseObject({
  skills: z.array(
    z.looseObject({
      name: z.string(),
      source: z.string(),
      blockedByAllowlist: z.boolean().default(false),
      missing: z.looseObject({ env: z.array(z.string()).default([]) }).nullish(),
    }),
  ),
});

/** The skills of a gateway that its agents may have, as it sees them now. Throws GatewayRequestError. */
export async function readSkills(client: GatewayClient, agentId: string): Promise<SeenSkills> {
  const { skills } = statusAnswer.parse(await client.request('skills.status', { agentId }));
  const named = (source: string) =>
    skills.filter((skill) => skill.source === source && !skill.blockedByAllowlist).map(({ name }) => name);
  const missingEnv = new Map(skills.map(({ name, missing }) => [name, missing?.env ?? []]));
  return { bundled: named('openclaw-bundled'), custom: named('openclaw-managed'), missingEnv };
}

/** Whether a gateway holds what it should, no more and no less. */
export function hasSkills(seen: SeenSkills, wanted: WantedSkills): boolean {
  return isSame(seen.bundled, wanted.bundled) && isSame(seen.custom, wanted.custom);
}

function hasVariables({ missingEnv }: SeenSkills, { env }: WantedSkills): boolean {
  return [...env].every(([name, given]) => given.every((key) => !missingEnv.get(name)?.includes(key)));
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && new Set([...some, ...others]).size === others.length;
}

interface SkillWait {
  /** Any live one: they all have the same. */
  agentId: string;
  signal: AbortSignal;
  deadlineMs: number;
}

/**
 * Waits until a running gateway has taken up its skills, and for a while until they have their variables. Throws
 * AgentsNotLiveError after deadlineMs (to the customer it is the same: the latest change of the content was not taken
 * up), and the signal's reason when it is aborted.
 */
export async function waitForSkills(
  client: GatewayClient,
  wanted: WantedSkills,
  { agentId, signal, deadlineMs }: SkillWait,
): Promise<void> {
  const [deadline, patience] = [AbortSignal.timeout(deadlineMs), AbortSignal.timeout(VARIABLES_MS)];
  for (;;) {
    const seen = await readSkills(client, agentId);
    if (hasSkills(seen, wanted) && (patience.aborted || hasVariables(seen, wanted))) return;
    signal.throwIfAborted();
    if (deadline.aborted) throw new AgentsNotLiveError(`The gateway did not take up its skills within ${deadlineMs} ms`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
