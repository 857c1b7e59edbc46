import { AppError } from '../../../domain/errors.ts';
import { SKILL_KEY, SKILL_MANIFEST, skillFilesProblems } from '../../../domain/agents/skills.ts';
import { secretKeyProblem } from '../../../domain/agents/secrets.ts';
import { completeSkill, FrontMatterError } from '../../../runtime/engine.ts';
import type { BundledSkill, CompleteSkill } from '../../../runtime/engine.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

const WRONG_SKILL_KEY =
  'metadata.openclaw.skillKey must have at most 64 characters: letters, digits, dots, hyphens and underscores. Leave the field out to use the name.';

export interface NewSkill {
  name: string;
  type: 'built-in' | 'custom';
  description: string;
  requiresEnv: string[];
  /** Under which a gateway keeps its settings. */
  settingsKey: string;
  /** Of a custom skill. */
  files: Map<string, string>;
}

interface GivenSkill {
  name: string;
  type?: 'built-in' | 'custom' | undefined;
  description?: string | undefined;
}

/** The built-in skill of this id. Throws `invalid_request`. */
export function chooseBuiltIn(catalogue: readonly BundledSkill[], { name, type }: GivenSkill): NewSkill {
  if (type === 'custom')
    throw invalidRequest([{ path: 'files', message: `A custom skill needs files, including ${SKILL_MANIFEST}.` }]);
  const skill = catalogue.find(({ id }) => id === name);
  if (!skill)
    throw invalidRequest([
      {
        path: 'name',
        message: `There is no built-in skill "${name}". See GET /skills for the built-in skills. A custom skill needs files.`,
      },
    ]);
  return {
    name,
    type: 'built-in',
    description: skill.description,
    requiresEnv: storable(skill.requirements.env),
    settingsKey: name,
    files: new Map(),
  };
}

/** A skill of the customer's own. Throws `invalid_request`, and `conflict` for the name of a built-in one. */
export function makeCustom(
  catalogue: readonly BundledSkill[],
  given: GivenSkill & { files: Readonly<Record<string, string>> },
): NewSkill {
  const { name, type, files } = given;
  if (type === 'built-in')
    throw invalidRequest([{ path: 'files', message: 'A built-in skill cannot have custom files. Leave the files out.' }]);
  const problems = skillFilesProblems(files);
  if (problems.length > 0) throw invalidRequest(problems);
  if (catalogue.some(({ id }) => id === name))
    throw new AppError(
      'conflict',
      `The name ${name} belongs to a built-in skill. Choose another name, or leave the files out to install the built-in skill.`,
    );
  const { text, manifest } = complete(files[SKILL_MANIFEST] ?? '', given);
  return {
    name,
    type: 'custom',
    description: manifest.description,
    requiresEnv: storable(manifest.requirements.env),
    settingsKey: manifest.skillKey ?? name,
    files: new Map(Object.entries({ ...files, [SKILL_MANIFEST]: text })),
  };
}

function complete(text: string, given: GivenSkill): CompleteSkill {
  try {
    const skill = completeSkill(text, given);
    const { skillKey } = skill.manifest;
    if (skillKey !== null && !SKILL_KEY.test(skillKey)) throw new FrontMatterError(WRONG_SKILL_KEY);
    return skill;
  } catch (error) {
    if (error instanceof FrontMatterError) throw invalidRequest([{ path: `files.${SKILL_MANIFEST}`, message: error.message }]);
    throw error;
  }
}

/** Only what can be a secret can be given. */
function storable(names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => secretKeyProblem(name) === null);
}
