import { z } from 'zod';
import type { PersonaFile } from '../../gateway/gateway.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';

/**
 * The files of an agent's workspace that are part of its prompt, the only ones that a gateway reads and writes for us.
 * It cannot delete them: that, and any other file, is the driver's (putFiles, removePaths).
 */
export const PERSONA_FILES = [
  'AGENTS.md',
  'SOUL.md',
  'IDENTITY.md',
  'USER.md',
  'BOOTSTRAP.md',
  'MEMORY.md',
] as const satisfies readonly PersonaFile[];

export function isPersonaFile(name: string): name is PersonaFile {
  return PERSONA_FILES.some((known) => known === name);
}

const setAnswer = z.looseObject({ ok: z.literal(true) });
const getAnswer = z.looseObject({
  file: z.looseObject({ missing: z.boolean(), size: z.int().optional(), content: z.string().optional() }),
});

/** Writes one persona file of a live agent. It counts from the agent's next turn on. Throws GatewayRequestError. */
export async function setAgentFile(
  client: GatewayClient,
  { agentId, name, content }: { agentId: string; name: PersonaFile; content: string },
): Promise<void> {
  setAnswer.parse(await client.request('agents.files.set', { agentId, name, content }));
}

/**
 * The persona files that a live agent has, by name, as they are now: agents change theirs. Null stands for one that is no
 * text: it holds NUL or is not UTF-8, so that its bytes did not arrive as they are. Throws GatewayRequestError.
 */
export async function getAgentFiles(client: GatewayClient, agentId: string): Promise<Map<PersonaFile, string | null>> {
  const files = new Map<PersonaFile, string | null>();
  for (const name of PERSONA_FILES) {
    const { file } = getAnswer.parse(await client.request('agents.files.get', { agentId, name }));
    if (file.missing || file.content === undefined) continue;
    files.set(name, file.size === Buffer.byteLength(file.content) ? file.content : null);
  }
  return files;
}
