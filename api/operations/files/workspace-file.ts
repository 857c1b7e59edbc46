import { Readable } from 'node:stream';
import type { EntityManager } from '@mikro-orm/postgresql';
import { findToldFile } from '../../../database/content/agent-files.ts';
import type { ToldFile } from '../../../database/content/agent-files.ts';
import type { Etags, FileRead, ReadOptions, WorkspacePlace } from '../../../runtime/driver-files.ts';
import { bytesOfRange, isAmong } from '../../../runtime/host/file-facts.ts';
import type { Deps } from '../../deps.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { requireFilePath } from './file.schema.ts';

/** One file of an agent. */
export interface WorkspaceFile {
  agentId: string;
  place: WorkspacePlace;
  path: string;
  told: ToldFile | null;
}

interface OwnedFile {
  accountId: string;
  instanceId: string;
  agentId: string;
  path: string;
}

/** The account's file with this path, whether there is one or not. Throws `not_found` for an instance or agent, and `invalid_request`. */
export async function findWorkspaceFile(em: EntityManager, { path, ...owned }: OwnedFile): Promise<WorkspaceFile> {
  const { runtimeId } = await findInstance(em, owned);
  const { id: agentId, gatewayAgentId } = await findAgent(em, owned);
  requireFilePath(path);
  return { agentId, place: { runtimeId, gatewayAgentId }, path, told: await findToldFile(em, agentId, path) };
}

/** Reads a file: as the API was told where the gateway has yet to be given it, else as it is in the workspace. */
export async function readWorkspaceFile(
  { files }: Pick<Deps, 'files'>,
  { told, place, path }: WorkspaceFile,
  options: ReadOptions,
): Promise<FileRead> {
  return told && !told.applied ? readPending(told, options) : files.read(place, path, options);
}

/** Whether there is such a file, in one of these states. */
export async function isThere(
  deps: Pick<Deps, 'files'>,
  file: WorkspaceFile,
  etags: Etags,
  signal: AbortSignal,
): Promise<boolean> {
  const read = await readWorkspaceFile(deps, file, { range: null, unless: etags, signal });
  if (read.kind === 'content') read.content.destroy();
  return read.kind === 'unchanged';
}

function readPending({ path, content, generation, updatedAtMs }: ToldFile, { range, unless }: ReadOptions): FileRead {
  if (content === null) return { kind: 'none' };
  const whole = Buffer.from(content);
  const facts = { path, size: whole.length, modifiedAtMs: updatedAtMs, etag: `"g${generation}"` };
  if (unless !== null && isAmong(unless, facts)) return { kind: 'unchanged', facts };
  const bytes = bytesOfRange(range, whole.length);
  if (!bytes) return { kind: 'unsatisfiable', facts };
  const part = whole.subarray(bytes.from, bytes.from + bytes.bytes);
  return { kind: 'content', facts, ...bytes, content: Readable.from([part], { objectMode: false }) };
}
