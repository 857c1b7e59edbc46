import type { GatewayContentRows } from '../../database/content/gateway-content.ts';
import { isSkillScript, SKILL_MANIFEST } from '../../domain/agents/skills.ts';
import type { SkillFile } from '../../runtime/driver.ts';
import { FrontMatterError, readSkillManifest } from '../../runtime/engine.ts';
import type { WantedSkills } from '../../runtime/gateway/gateway.ts';

/** The bundled skills that the agents of this instance have. */
export function bundledSkills({ skills }: Pick<GatewayContentRows, 'skills'>): string[] {
  return skills.filter(({ type }) => type === 'built-in').map(({ name }) => name);
}

/** The skills that a gateway with this content shows. */
export function wantedSkills({ skills, secrets }: Pick<GatewayContentRows, 'skills' | 'secrets'>): WantedSkills {
  const keys = new Set(secrets.map(({ key }) => key));
  return {
    bundled: bundledSkills({ skills }),
    custom: skills.filter(({ type }) => type === 'custom').map(({ name }) => name),
    env: new Map(skills.map(({ name, requiresEnv }) => [name, requiresEnv.filter((key) => keys.has(key))])),
  };
}

/**
 * The variables that each skill asks for, as far as they are secrets of the instance, by the key under which the
 * gateway looks for the settings of that skill. Skills of one key share them.
 */
export function skillEnvironments(
  { skills, skillFiles }: Pick<GatewayContentRows, 'skills' | 'skillFiles'>,
  secrets: ReadonlyMap<string, string>,
): Record<string, Record<string, string>> {
  const manifests = new Map(skillFiles.flatMap((file) => (file.path === SKILL_MANIFEST ? [[file.skillName, file.content]] : [])));
  const environments = new Map<string, Record<string, string>>();
  for (const { name, requiresEnv, settingsKey } of skills) {
    const env = requiresEnv.flatMap((key) => {
      const value = secrets.get(key);
      return value === undefined ? [] : [[key, value] as const];
    });
    if (env.length === 0) continue;
    const key = settingsKey ?? settingsKeyOf(name, manifests.get(name));
    environments.set(key, { ...environments.get(key), ...Object.fromEntries(env) });
  }
  return Object.fromEntries(environments);
}

/** Its name, unless its SKILL.md gives another one that can be read. */
function settingsKeyOf(name: string, manifest: string | undefined): string {
  try {
    return (manifest === undefined ? null : readSkillManifest(manifest).skillKey) ?? name;
  } catch (error) {
    if (error instanceof FrontMatterError) return name;
    throw error;
  }
}

/** The files of the custom skills, as the driver puts them there. */
export function skillTree({ skillFiles }: Pick<GatewayContentRows, 'skillFiles'>): Map<string, SkillFile> {
  return new Map(
    skillFiles.map(({ skillName, path, content }) => [
      `${skillName}/${path}`,
      { content: Buffer.from(content), executable: isSkillScript(path, content) },
    ]),
  );
}
