import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { findToldFile, noteWrittenFile } from '../../../database/content/agent-files.ts';
import { AppError } from '../../../domain/errors.ts';
import { MAX_FILE_BYTES } from '../../../domain/agents/workspace-files.ts';
import type { FileFacts } from '../../../runtime/driver-files.ts';
import { isPersonaFile } from '../../../runtime/engine.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { findAgent, findInstance } from '../../find-instance.ts';
import { ifMatch } from '../../http/conditions.ts';
import type { Upload } from '../../http/upload.ts';
import { requireStorage } from '../../security/require-storage.ts';
import { awaitApplied } from '../agents/await-applied.ts';
import { changeFiles } from '../agents/workspace.ts';
import { explainingFiles, fileFields, fileParams, MAX_UPLOAD_BYTES, notInState } from './file.schema.ts';
import { findWorkspaceFile, isThere } from './workspace-file.ts';
import type { WorkspaceFile } from './workspace-file.ts';

/** What was written to the workspace itself, or is to be given to the gateway. */
type Taken = { facts: FileFacts; file: WorkspaceFile; text: string | null } | ToGive;

interface ToGive {
  facts: null;
  text: string;
  /** The generation of the file that `If-Match` was compared with. Null: the gateway alone had it; undefined: no comparison was asked for. */
  compared: number | null | undefined;
}

export const putFile = defineOperation({
  method: 'PUT',
  path: '/instances/:instanceId/agents/:agentId/files/:path',
  rest: true,
  operationId: 'files.put',
  summary: 'Create or replace a file of an agent',
  description:
    'The body is the bytes of the file, at most 25 MiB. It takes its place in one step once all of it has arrived. With `If-Match`, only a file in that state is replaced. A file of the prompt, such as SOUL.md, is text with the limits of `files` of an agent, and is given to a stopped instance at its next start.',
  tag: 'files',
  auth: 'account',
  scope: 'write',
  audit: 'files.put',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  upload: true,
  bodyLimitBytes: MAX_UPLOAD_BYTES,
  params: fileParams,
  success: { status: 200, schema: z.object(fileFields) },
  errors: ['invalid_request', 'conflict', 'precondition_failed', 'instance_not_ready'],

  async load({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
  },
  async before({ params, actor, em, deps, headers, upload, signal }): Promise<Taken> {
    const owned = { accountId: actor.accountId, ...params };
    const file = await findWorkspaceFile(em, owned);
    if ((await findInstance(em, owned)).desiredStatus === 'destroyed')
      throw new AppError('conflict', 'This instance is being deleted and can no longer be changed.');
    await requireStorage(em, actor.accountId, deps.config);
    if (!upload) throw new Error('The operation takes an upload');
    const onlyIf = ifMatch(headers);
    const isPending = file.told !== null && !file.told.applied;
    const mustAsk = onlyIf !== null && (isPersonaFile(params.path) || isPending);
    if (mustAsk && !(await explainingFiles(() => isThere(deps, file, onlyIf, signal)))) throw notInState();
    const compared = onlyIf === null ? undefined : (file.told?.generation ?? null);
    if (isPersonaFile(params.path)) return { facts: null, text: await textOf(upload), compared };
    const kept = new KeptText();
    const facts = await explainingFiles(() =>
      deps.files.write(file.place, params.path, kept.of(upload.read()), {
        onlyIf: isPending ? null : onlyIf,
        maxBytes: MAX_UPLOAD_BYTES,
        signal,
      }),
    );
    return { facts, file, text: kept.text() };
  },
  async handle({ params, actor, em, deps, prepared }) {
    const now = deps.clock();
    if (prepared.facts) {
      const { file, facts, text } = prepared;
      const { agentId, path, told } = file;
      if (told) await noteWrittenFile(em, { agentId, path, generation: told.generation, content: text, now });
      return { ...params, generation: null, size: facts.size, modifiedAt: new Date(facts.modifiedAtMs).toISOString() };
    }
    const owned = { accountId: actor.accountId, ...params };
    const { text, compared } = prepared;
    const generation = await changeContent(em, owned);
    // Now that no other call changes the instance: another one may have replaced the file since.
    const present = await findToldFile(em, params.agentId, params.path);
    if (compared !== undefined && compared !== (present?.generation ?? null)) throw notInState();
    await changeFiles(em, await findAgent(em, owned), { changes: [[params.path, text]], generation, deps });
    return { ...params, generation, size: Buffer.byteLength(text), modifiedAt: now.toISOString() };
  },
  auditSubject: (_, { agentId, instanceId }) => ({ target: agentId, instanceId }),

  async after({ instanceId, generation, path, size, modifiedAt }, { deps, signal }) {
    if (generation !== null) await awaitApplied(deps, { instanceId, generation }, signal);
    return { path, size, modifiedAt };
  },
});

/** The body as a file of the prompt. Throws `invalid_request`. */
async function textOf(upload: Upload): Promise<string> {
  const kept = new KeptText();
  for await (const _ of kept.of(upload.read()));
  const text = kept.text();
  if (text !== null) return text;
  const message = `Send text in UTF-8 without NUL, at most ${MAX_FILE_BYTES} bytes: the file is a part of the agent's prompt.`;
  throw invalidRequest([{ path: 'body', message }]);
}

/** Keeps what passes as long as it can be a text that is shown with the agent. */
class KeptText {
  #kept: Buffer[] | null = [];
  #size = 0;

  async *of(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of content) {
      this.#size += chunk.length;
      if (this.#size > MAX_FILE_BYTES) this.#kept = null;
      this.#kept?.push(chunk);
      yield chunk;
    }
  }

  /** Null: it was too long, or no text that a database takes. */
  text(): string | null {
    const bytes = this.#kept && Buffer.concat(this.#kept);
    return bytes && isUtf8(bytes) && !bytes.includes(0) ? bytes.toString('utf8') : null;
  }
}
