import { Document, isMap, isScalar, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { utf8Length } from '../../../domain/agents/file-path.ts';

/** The front matter of a SKILL.md cannot be read. The message is for the author of the skill. */
export class FrontMatterError extends Error {}

export interface SkillRequirements {
  /** All of these programs. */
  bins: string[];
  /** One of these programs. */
  anyBins: string[];
  /** All of these variables. */
  env: string[];
  /** All of these settings of OpenClaw. */
  config: string[];
  /** One of these systems, as Node names them; empty for any. */
  os: string[];
}

export interface SkillManifest {
  name: string | null;
  description: string | null;
  /** Under which OpenClaw keeps the settings of the skill, when that is not its name. */
  skillKey: string | null;
  requirements: SkillRequirements;
}

/** Editors leave blank lines and byte order marks before it. */
const OPENING = /^(?:[^\S\n]*\n)*\uFEFF*---[^\S\n]*\n/;
const CLOSING = /(?:^|\n)---[^\S\n]*(?:\n|$)/;
const DESCRIPTION_CHARACTERS = 1_024;
/** Reading YAML takes up to ten milliseconds per KiB. */
const MAX_FRONT_MATTER_BYTES = 16 * 1024;

const words = z.array(z.string()).catch([]);
const openclawBlock = z.object({
  openclaw: z.object({
    skillKey: z.string().nullable().catch(null).default(null),
    os: words.default([]),
    requires: z
      .object({ bins: words.default([]), anyBins: words.default([]), env: words.default([]), config: words.default([]) })
      .catch({ bins: [], anyBins: [], env: [], config: [] }),
  }),
});

/** What a SKILL.md says of itself. Throws FrontMatterError. */
export function readSkillManifest(text: string): SkillManifest {
  return manifestOf(split(text));
}

export interface CompleteSkill {
  text: string;
  manifest: SkillManifest & { description: string };
}

/**
 * The same SKILL.md with this name in its front matter, and with a description where it has none: the given
 * one, or its first sentence, or the name. OpenClaw does not see a skill without them. Throws FrontMatterError.
 */
export function completeSkill(text: string, given: { name: string; description?: string | undefined }): CompleteSkill {
  const { name } = given;
  const parts = split(text);
  const { document, body } = parts;
  const said = manifestOf(parts);
  const description = said.description ?? given.description ?? firstSentenceOf(body) ?? name;
  document.set('name', name);
  if (said.description === null) document.set('description', description);
  const front = document.toString({ lineWidth: 0 }).trimEnd();
  return {
    text: `---\n${front}\n---\n${body.startsWith('\n') ? '' : '\n'}${body}`,
    manifest: { ...said, name, description },
  };
}

/** Null when there is none. */
function firstSentenceOf(body: string): string | null {
  const line = body
    .split('\n')
    .map((one) => one.trim())
    .find((one) => one !== '' && !/^(#|```|---|<)/.test(one));
  return line === undefined ? null : line.slice(0, DESCRIPTION_CHARACTERS);
}

interface Parts {
  document: Document;
  fields: unknown;
  body: string;
}

function split(text: string): Parts {
  const normal = text.replace(/^\uFEFF+/, '').replace(/\r\n?/g, '\n');
  const opening = OPENING.exec(normal);
  if (!opening) return without(normal);
  const tail = normal.slice(opening[0].length);
  const closing = CLOSING.exec(tail);
  if (!closing) throw new FrontMatterError('The front matter has no end: close it with a line of three hyphens.');
  const front = tail.slice(0, closing.index);
  if (utf8Length(front) > MAX_FRONT_MATTER_BYTES)
    throw new FrontMatterError(
      `The front matter has more than ${MAX_FRONT_MATTER_BYTES} bytes. Move what is long into the text below it.`,
    );
  // The check of the library compares each key with all others.
  const document = parseDocument(front, { schema: 'core', uniqueKeys: false, prettyErrors: false });
  if (document.errors.length > 0) throw new FrontMatterError('The front matter is not YAML. Put texts with a colon in quotes.');
  const body = tail.slice(closing.index + closing[0].length);
  if (document.contents === null) return without(body);
  if (!isMap(document.contents)) throw new FrontMatterError('The front matter must be fields such as "name: my-skill".');
  requireUniqueKeys(document);
  return { document, fields: toObject(document), body };
}

function without(body: string): Parts {
  return { document: new Document({}), fields: {}, body };
}

function requireUniqueKeys(document: Document): void {
  visit(document, {
    Map(_key, { items }) {
      const keys = items.map(({ key }) => (isScalar(key) ? key.value : key));
      if (new Set(keys).size < keys.length)
        throw new FrontMatterError('The front matter has a field twice. Leave one of them out.');
    },
  });
}

function manifestOf({ document, fields }: Parts): SkillManifest {
  const { openclaw } = openclawBlock
    .catch({ openclaw: { skillKey: null, os: [], requires: { bins: [], anyBins: [], env: [], config: [] } } })
    .parse(metadataOf(fields));
  return {
    name: textOf(document, 'name'),
    description: textOf(document, 'description'),
    skillKey: openclaw.skillKey?.trim() || null,
    requirements: { ...openclaw.requires, os: openclaw.os },
  };
}

function textOf(document: Document, field: string): string | null {
  const value = document.get(field);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** A mapping, or JSON in a text. */
function metadataOf(fields: unknown): unknown {
  const { metadata }: { metadata?: unknown } = z.looseObject({}).catch({}).parse(fields);
  if (typeof metadata !== 'string') return metadata;
  try {
    return JSON.parse(metadata);
  } catch {
    return null;
  }
}

/** Aliases that multiply or name nothing are refused. */
function toObject(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch {
    throw new FrontMatterError('The front matter uses too many aliases, or one without its anchor.');
  }
}
