import { readFileSync } from 'node:fs';

export interface SettingFiles {
  /** The settings that files hold. */
  read: Record<string, string>;
  /** A sentence for each file that could not be used. */
  problems: string[];
}

/**
 * Reads the settings that stand in files: the content of the file that `NAME_FILE` names is `NAME`, without the line
 * break at its end. So a secret need not be in the environment, which every tool that looks at a process shows.
 */
export function readSettingFiles(given: Readonly<Record<string, string>>, names: readonly string[]): SettingFiles {
  const read: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of names) {
    const setting = `${name}_FILE`;
    const file = given[setting];
    if (file === undefined) continue;
    const text = textOf(file);
    if (given[name] !== undefined) problems.push(`${setting}: ${name} is given too; remove one of the two`);
    else if (text === null) problems.push(`${setting}: the file ${file} cannot be read`);
    // An empty file counts as unset, as an empty value does.
    else if (text !== '') read[name] = text;
  }
  return { read, problems };
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trimEnd();
  } catch {
    return null;
  }
}
