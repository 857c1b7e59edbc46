import { agentFilePathProblem } from './agent-file-path.ts';

export const MAX_ATTACHMENTS = 10;
/** Of all attachments of a message together. */
export const MAX_ATTACHMENTS_BYTES = 10 * 1024 * 1024;

/** A file that came with a message, as history names it. */
export interface Attachment {
  name: string;
  mediaType: string;
  /** In bytes. */
  size: number;
  /** In the workspace of the agent. */
  path: string;
}

/** By these ends of a path a gateway knows an image. */
const IMAGE = /\.(?:png|jpe?g|gif|webp|bmp|tiff?|heic|heif)$/i;
const ENDING_OF: ReadonlyMap<string, string> = new Map([
  ['image/png', '.png'],
  ['image/jpeg', '.jpg'],
  ['image/gif', '.gif'],
  ['image/webp', '.webp'],
]);
/** A gateway sees the end of a path in each of these. */
const NOT_IN_PATHS = /[\s"'`()[\]<>]/g;

/** Where an attachment of this message lies in the workspace: named so that the gateway of a model that takes images shows it one. */
export function attachmentPath(messageId: string, { name, mediaType }: Pick<Attachment, 'name' | 'mediaType'>): string {
  const ending = IMAGE.test(name) ? '' : (ENDING_OF.get(mediaType) ?? '');
  return `inbox/${messageId}/${name.replaceAll(NOT_IN_PATHS, '_')}${ending}`;
}

/** What the agent is told of the attachments before the text of the message. */
export function attachmentsNote(attachments: readonly Attachment[]): string {
  const lines = attachments.map(({ path, mediaType, size }) => `- ./${path} (${mediaType}, ${size} bytes)`);
  return ['Attached files, in your workspace:', ...lines].join('\n');
}

/** Says in a sentence why these cannot be attachments of one message; null when they can. The first that is wrong is named by its index. */
export function attachmentsProblem(
  attachments: readonly Pick<Attachment, 'name' | 'mediaType'>[],
): { index: number; message: string } | null {
  const seen = new Set<string>();
  for (const [index, attachment] of attachments.entries()) {
    const path = attachmentPath('msg_00000000000000000000', attachment);
    const problem = agentFilePathProblem(attachment.name) ?? agentFilePathProblem(path);
    if (problem !== null) return { index, message: problem };
    if (seen.has(path)) return { index, message: 'Give each attachment a name of its own.' };
    seen.add(path);
  }
  return null;
}
