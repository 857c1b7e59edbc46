import { access, constants, readFile, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { isErrno } from '../../../lib/errno.ts';
import type { SkillRequirements } from './skill-front-matter.ts';

export interface BundledSkill {
  /** What installs it. */
  id: string;
  /** For people. */
  name: string;
  description: string;
  requirements: SkillRequirements;
  /** What of them this runtime lacks; variables are the customer's to give. */
  missing: Pick<SkillRequirements, 'bins' | 'anyBins' | 'config' | 'os'>;
  /** Whether it works here once its variables are given. */
  supported: boolean;
}

/** Where the skills come from and run. */
export type SkillHost = {
  /** The installed OpenClaw package. */
  packageDir: string;
  platform: string;
} & (
  | {
      /** The PATH of gateways, on this machine. */
      path: string;
    }
  | {
      /** What gateways find on theirs. */
      programs: ReadonlySet<string>;
    }
);

export interface SkillCatalogue {
  /** The skills that the pinned OpenClaw bundles, by id. Rejects while it is not installed. */
  list(): Promise<readonly BundledSkill[]>;
}

/** Reads the catalogue once, the first time that it is asked for. */
export function createSkillCatalogue(host: SkillHost): SkillCatalogue {
  let known: Promise<readonly BundledSkill[]> | null = null;
  return {
    list() {
      const reading = (known ??= readCatalogue(host));
      reading.catch(() => {
        if (known === reading) known = null;
      });
      return reading;
    },
  };
}

async function readCatalogue(host: SkillHost): Promise<BundledSkill[]> {
  const folder = join(host.packageDir, 'skills');
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const skills = await Promise.all(names.toSorted().map((name) => readSkill(host, join(folder, name, 'SKILL.md'), name)));
  return skills.filter((skill) => skill !== null);
}

/** Null when OpenClaw would pass it over too. */
async function readSkill(host: SkillHost, file: string, directory: string): Promise<BundledSkill | null> {
  // Only now: see api/operations/skills/install-skill.ts.
  const { FrontMatterError, readSkillManifest } = await import('./skill-front-matter.ts');
  try {
    const text = await readFile(file, 'utf8');
    const { name, description, requirements } = readSkillManifest(text);
    if (description === null) return null;
    const id = name ?? directory;
    const missing = await missingOf(requirements, host);
    const supported = [...missing.bins, ...missing.anyBins, ...missing.config, ...missing.os].length === 0;
    return { id, name: titleOf(text) ?? id, description, requirements, missing, supported };
  } catch (error) {
    if (error instanceof FrontMatterError || isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

function titleOf(text: string): string | null {
  return /^#[^\S\n]+(.+?)[^\S\n]*$/m.exec(text.replace(/^---\n[\s\S]*?\n---\n/, ''))?.[1] ?? null;
}

async function missingOf({ bins, anyBins, config, os }: SkillRequirements, host: SkillHost): Promise<BundledSkill['missing']> {
  const absent = async (names: readonly string[]) => {
    const found = await Promise.all(names.map((name) => hasProgram(host, name)));
    return names.filter((_name, index) => !found[index]);
  };
  const absentOfAny = await absent(anyBins);
  return {
    bins: await absent(bins),
    anyBins: absentOfAny.length === anyBins.length ? absentOfAny : [],
    // None of OpenClaw's settings is a customer's to change, and those that skills ask for are off.
    config,
    os: os.length === 0 || os.includes(host.platform) ? [] : os,
  };
}

async function hasProgram(host: SkillHost, name: string): Promise<boolean> {
  return 'programs' in host ? host.programs.has(name) : isProgram(host.path, name);
}

async function isProgram(path: string, name: string): Promise<boolean> {
  for (const directory of path.split(delimiter)) {
    const found = await access(join(directory, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
