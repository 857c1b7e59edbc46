import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isErrno } from '../../../lib/errno.ts';
import { parse } from './conversations.ts';
import type { Store } from './store.ts';
import { invalid } from './wire.ts';

const PERSONA_FILES = ['AGENTS.md', 'SOUL.md', 'IDENTITY.md', 'USER.md', 'BOOTSTRAP.md', 'MEMORY.md'];

/** Of the front matter of a SKILL.md. Nothing of the product reads it here: in an image there is only this folder. */
const NAME_LINE = /^---\n(?:.*\n)*?name: *["']?([^"'\n]+)/;

const config = z.looseObject({
  gateway: z.looseObject({ port: z.number(), bind: z.enum(['loopback', 'lan']), auth: z.looseObject({ token: z.string() }) }),
  agents: z.looseObject({ entries: z.record(z.string(), z.looseObject({ workspace: z.string() })).default({}) }),
  skills: z.looseObject({
    allowBundled: z.array(z.string()),
    entries: z.record(z.string(), z.looseObject({ env: z.record(z.string(), z.string()).optional() })),
  }),
});

export type GatewayConfig = z.infer<typeof config>;

/** The configuration as it is written at this moment. */
export function readConfig(file: string): GatewayConfig {
  return config.parse(JSON.parse(readFileSync(file, 'utf8')));
}

const secretParams = z.looseObject({
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
  value: z.string(),
  kind: z.literal('env'),
});
const nameParams = z.looseObject({ name: z.string() });
const fileParams = z.looseObject({ agentId: z.string(), name: z.string() });
const setParams = z.looseObject({ agentId: z.string(), name: z.string(), content: z.string() });
const agentParams = z.looseObject({ agentId: z.string() });

interface Deps {
  store: Store;
  stateDir: string;
  config: () => GatewayConfig;
}

/** What an instance holds: secrets, files and skills of its agents. */
export class Content {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  agents(): object {
    return { agents: Object.keys(this.#deps.config().agents.entries).map((id) => ({ id })) };
  }

  listSecrets(): object {
    return { entries: this.#deps.store.data.secrets.map((one) => ({ ...one, kind: 'env' })) };
  }

  setSecret(raw: object): object {
    const { name, value } = parse(secretParams, raw, 'secrets.store.set');
    this.#removeSecret(name);
    this.#deps.store.data.secrets.push({ name, value });
    this.#deps.store.save();
    return { ok: true };
  }

  deleteSecret(raw: object): object {
    this.#removeSecret(parse(nameParams, raw, 'secrets.store.delete').name);
    this.#deps.store.save();
    return { ok: true };
  }

  getFile(raw: object): object {
    const { agentId, name } = parse(fileParams, raw, 'agents.files.get');
    const path = this.#path(agentId, name);
    const content = textOf(path);
    const found = content === null ? null : { size: Buffer.byteLength(content), content };
    return { agentId, file: { name, path, missing: content === null, ...found } };
  }

  setFile(raw: object): object {
    const { agentId, name, content } = parse(setParams, raw, 'agents.files.set');
    const path = this.#path(agentId, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return { ok: true, agentId, file: { name, path, missing: false, content } };
  }

  skills(raw: object): object {
    const { agentId } = parse(agentParams, raw, 'skills.status');
    const { agents, skills } = this.#deps.config();
    if (!Object.hasOwn(agents.entries, agentId)) throw invalid(`unknown agent id "${agentId}"`);
    const bundled = skills.allowBundled.filter((name) => name !== '-');
    const shown = (names: readonly string[], source: string) =>
      names.map((name) => ({ name, source, blockedByAllowlist: false, missing: { env: [] } }));
    return { skills: [...shown(bundled, 'openclaw-bundled'), ...shown(this.#managedSkills(), 'openclaw-managed')] };
  }

  /** Those that lie in its state, by the names in their manifests. */
  #managedSkills(): string[] {
    const directory = join(this.#deps.stateDir, 'skills');
    return namesIn(directory).flatMap((name) => {
      const manifest = textOf(join(directory, name, 'SKILL.md'));
      return manifest === null ? [] : (NAME_LINE.exec(manifest)?.[1]?.trim() ?? []);
    });
  }

  #removeSecret(name: string): void {
    const { data } = this.#deps.store;
    data.secrets = data.secrets.filter((one) => one.name !== name);
  }

  #path(agentId: string, name: string): string {
    const workspace = this.#deps.config().agents.entries[agentId]?.workspace;
    if (workspace === undefined) throw invalid(`unknown agent id "${agentId}"`);
    if (!PERSONA_FILES.includes(name)) throw invalid(`unsupported file "${name}"`);
    return join(workspace, name);
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
