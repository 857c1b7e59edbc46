import type { EntityManager } from '@mikro-orm/postgresql';
import { attachmentPaths, MAX_ATTACHMENTS_BYTES } from '../../../domain/agents/attachments.ts';
import type { Attachment } from '../../../domain/agents/attachments.ts';
import { forgetWaiting, noteWaiting } from '../../../database/messages/waiting-attachments.ts';
import type { WorkspacePlace } from '../../../runtime/driver-files.ts';
import type { Deps } from '../../deps.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { explainingFiles } from '../files/file.schema.ts';

/** A file that came with a message. */
export interface GivenAttachment {
  name: string;
  mediaType: string;
  content: Buffer;
}

/** Attachments that lie in the workspace of the agent, for a message that is to be accepted under this id. */
export interface PutAttachments {
  requestMessageId: string;
  place: WorkspacePlace;
  attachments: Attachment[];
}

interface Owned {
  accountId: string;
  instanceId: string;
  agentId: string;
}

/**
 * Puts the attachments of a message into the workspace of its agent before it is accepted: so an accepted message never lacks
 * them, whatever dies. Each message has its own folder. Null when there are none. Not for use in a transaction.
 */
export async function putAttachments(
  em: EntityManager,
  { files, makeId }: Pick<Deps, 'files' | 'makeId'>,
  owned: Owned,
  given: readonly GivenAttachment[],
  signal: AbortSignal,
): Promise<PutAttachments | null> {
  if (given.length === 0) return null;
  const { runtimeId } = await findInstance(em, owned);
  const { gatewayAgentId } = await findAgent(em, owned);
  const requestMessageId = makeId('msg');
  const place = { runtimeId, gatewayAgentId };
  const paths = attachmentPaths(requestMessageId, given);
  await noteWaiting(em, owned.instanceId, { requestMessageId, ...place, paths });
  const put: PutAttachments = { requestMessageId, place, attachments: [] };
  try {
    for (const [index, { name, mediaType, content }] of given.entries()) {
      const path = paths[index] ?? '';
      put.attachments.push({ name, mediaType, size: content.length, path });
      const options = { onlyIf: null, maxBytes: MAX_ATTACHMENTS_BYTES, signal };
      await explainingFiles(() => files.write(put.place, path, inPieces(content), options));
    }
  } catch (error) {
    await removeAttachments(em, { files }, put);
    throw error;
  }
  return put;
}

const REMOVAL_MS = 30_000;
const PIECE_BYTES = 64 * 1024;

/** Takes the attachments of a message away that was not accepted. What cannot be reached is removed later: see removeLeftAttachments. */
export async function removeAttachments(
  em: EntityManager,
  { files }: Pick<Deps, 'files'>,
  put: PutAttachments | null,
): Promise<void> {
  if (!put) return;
  try {
    await removeFiles(
      { files },
      put.place,
      put.attachments.map(({ path }) => path),
    );
  } catch {
    return;
  }
  await forgetWaiting(em, put.requestMessageId);
}

/** Removes files with the folders that this leaves empty. Files that are not there are fine. */
export async function removeFiles(
  { files }: Pick<Deps, 'files'>,
  place: WorkspacePlace,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) await files.remove(place, path, { withEmptyFolders: true, signal: AbortSignal.timeout(REMOVAL_MS) });
}

async function* inPieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < content.length; from += PIECE_BYTES) yield content.subarray(from, from + PIECE_BYTES);
}
