import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pinnedVersion } from '../openclaw/install/installation.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** What the image is made of, beside its base: files and whole folders of this project. */
export const IMAGE_INPUTS = [
  'domain/agents/agent-file-path.ts',
  'domain/agents/file-path.ts',
  'domain/gateway-verdict.ts',
  'lib/errno.ts',
  'package.json',
  'runtime/docker/in-container.ts',
  'runtime/driver-files.ts',
  'runtime/driver.ts',
  'runtime/image',
  'runtime/openclaw/package',
  'runtime/openclaw/content/persona-settings.ts',
  'runtime/openclaw/install/render-config.ts',
  'runtime/host/file-facts.ts',
  'runtime/host/gateway-environment.ts',
  'runtime/host/list-files.ts',
  'runtime/host/open-directory.ts',
  'runtime/host/read-file.ts',
  'runtime/host/replace-file.ts',
  'runtime/host/safe-files.ts',
  'runtime/host/skill-tree.ts',
  'runtime/host/write-file.ts',
];

/** They change often, and what that changes in an image is nothing: how sources are read, what its first gateway was given. */
const WITHOUT_MEANING = new Set([
  'package.json',
  'domain/gateway-verdict.ts',
  'runtime/openclaw/content/persona-settings.ts',
  'runtime/openclaw/install/render-config.ts',
]);

/**
 * The name of the image that belongs to this state of the project: another OpenClaw, another Dockerfile or another
 * program of ours in it is another image, so that an old one is never taken for it.
 */
export async function imageName(): Promise<string> {
  const hash = createHash('sha256');
  for (const input of IMAGE_INPUTS.filter((path) => !WITHOUT_MEANING.has(path)))
    for (const file of await filesOf(input))
      hash
        .update(file)
        .update('\0')
        .update(await readFile(join(ROOT, file)))
        .update('\0');
  return `thermidora-instance:${await pinnedVersion()}-${hash.digest('hex').slice(0, 12)}`;
}

async function filesOf(input: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, input), { withFileTypes: true }).catch(() => null);
  if (entries === null) return [input];
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(input, name))
    .toSorted();
}
