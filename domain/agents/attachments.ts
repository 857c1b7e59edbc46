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

/**
 * Where the attachments of this message lie in the workspace, in their order: named so that the gateway of a model that takes images
 * shows it one. Of several with the same name, the later ones get a number.
 */
export function attachmentPaths(messageId: string, attachments: readonly Pick<Attachment, 'name' | 'mediaType'>[]): string[] {
  const taken = new Set<string>();
  return attachments.map((attachment) => {
    const name = fileNameOf(attachment);
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = withNumber(name, number);
    taken.add(free);
    return `inbox/${messageId}/${free}`;
  });
}

function fileNameOf({ name, mediaType }: Pick<Attachment, 'name' | 'mediaType'>): string {
  const ending = IMAGE.test(name) ? '' : (ENDING_OF.get(mediaType) ?? '');
  return `${name.replaceAll(NOT_IN_PATHS, '_')}${ending}`;
}

/** `notes/report.pdf` and 2 make `notes/report-2.pdf`. */
function withNumber(path: string, number: number): string {
  return path.replace(/(?:\.[^./]*)?$/, (ending) => `-${number}${ending}`);
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
  const paths = attachmentPaths('msg_00000000000000000000', attachments);
  for (const [index, { name }] of attachments.entries()) {
    const problem = agentFilePathProblem(name) ?? agentFilePathProblem(paths[index] ?? '');
    if (problem !== null) return { index, message: problem };
  }
  return null;
}
