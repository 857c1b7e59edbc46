import { isPersonaFile } from './agent-files.ts';
import { maxPersonaChars } from './persona-settings.ts';

/** What a gateway shows an agent of a longer USER.md are its beginning and its end; no setting changes that. */
export const MAX_USER_FILE_CHARS = 4_000;

interface Problem {
  path: string;
  message: string;
}

/** What of these files an agent whose model has this context, in tokens, would not be shown whole. */
export function personaProblems(files: ReadonlyMap<string, string>, contextWindow: number): Problem[] {
  const persona = [...files].filter(([path]) => isPersonaFile(path));
  const problems: Problem[] = [];
  const user = files.get('USER.md')?.length ?? 0;
  if (user > MAX_USER_FILE_CHARS)
    problems.push({
      path: 'files.USER.md',
      message: `Must have at most ${MAX_USER_FILE_CHARS} characters, not ${user}. Move parts of it into AGENTS.md or SOUL.md.`,
    });
  const total = persona.reduce((sum, [, content]) => sum + content.length, 0);
  const most = maxPersonaChars(contextWindow);
  if (total > most)
    problems.push({
      path: 'files',
      message: `${persona.map(([path]) => path).join(', ')} have ${total} characters together. The agent reads them at every turn: with its model, of ${contextWindow} tokens, they may have ${most}. Move parts of them into other files.`,
    });
  return problems;
}
