import { filePathProblem } from './file-path.ts';

/** Folders above a file; what lies deeper is not shown. */
const MAX_DEPTH = 64;
/** What the gateway keeps for itself in a workspace. */
const GATEWAY_FOLDER = '.openclaw';

/** Says in a sentence why no file with this path is shown or taken; null when it is a path of a file of the customer. */
export function agentFilePathProblem(path: string): string | null {
  const segments = path.split('/');
  if (segments[0] === GATEWAY_FOLDER) return `The folder ${GATEWAY_FOLDER} belongs to the gateway. Use another folder.`;
  if (segments.length > MAX_DEPTH + 1) return `Use at most ${MAX_DEPTH} folders, one inside the other.`;
  return filePathProblem(path);
}
