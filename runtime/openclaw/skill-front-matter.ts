import { Document, isMap, parseDocument } from 'yaml';
import { z } from 'zod';

/** The front matter of a SKILL.md cannot be read. The message is for whoever wrote it. */
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
  const { document } = split(text);
  const { openclaw } = openclawBlock
    .catch({ openclaw: { skillKey: null, os: [], requires: { bins: [], anyBins: [], env: [], config: [] } } })
    .parse(metadataOf(document));
  return {
    name: textOf(document, 'name'),
    description: textOf(document, 'description'),
    skillKey: openclaw.skillKey?.trim() || null,
    requirements: { ...openclaw.requires, os: openclaw.os },
  };
}

/**
 * The same SKILL.md with this name in its front matter, and this description where it has none of its own: OpenClaw
 * does not see a skill without them. Throws FrontMatterError.
 */
export function withSkillManifest(text: string, { name, description }: { name: string; description: string }): string {
  const { document, body } = split(text);
  document.set('name', name);
  if (textOf(document, 'description') === null) document.set('description', description);
  return `---\n${document.toString({ lineWidth: 0 }).trimEnd()}\n---\n${body.startsWith('\n') ? '' : '\n'}${body}`;
}

/** The first sentence of a SKILL.md without front matter; null when there is none. */
export function firstLineOf(text: string): string | null {
  const { body } = split(text);
  const line = body
    .split('\n')
    .map((one) => one.trim())
    .find((one) => one !== '' && !/^(#|```|---|<)/.test(one));
  return line === undefined ? null : line.slice(0, DESCRIPTION_CHARACTERS);
}

function split(text: string): { document: Document; body: string } {
  const normal = text.replace(/^\uFEFF+/, '').replace(/\r\n?/g, '\n');
  const opening = OPENING.exec(normal);
  if (!opening) return { document: new Document({}), body: normal };
  const tail = normal.slice(opening[0].length);
  const closing = CLOSING.exec(tail);
  if (!closing) throw new FrontMatterError('The front matter has no end: close it with a line of three hyphens.');
  const document = parseDocument(tail.slice(0, closing.index), { schema: 'core', uniqueKeys: true });
  if (document.errors.length > 0) throw new FrontMatterError('The front matter is not YAML. Put texts with a colon in quotes.');
  const body = tail.slice(closing.index + closing[0].length);
  if (document.contents === null) return { document: new Document({}), body };
  if (!isMap(document.contents)) throw new FrontMatterError('The front matter must be fields such as "name: my-skill".');
  return { document, body };
}

function textOf(document: Document, field: string): string | null {
  const value = document.get(field);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** A mapping, or JSON in a text. */
function metadataOf(document: Document): unknown {
  const { metadata }: { metadata?: unknown } = z.looseObject({}).catch({}).parse(toObject(document));
  if (typeof metadata !== 'string') return metadata;
  try {
    return JSON.parse(metadata);
  } catch {
    return null;
  }
}

/** Aliases that multiply are refused. */
function toObject(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch {
    throw new FrontMatterError('The front matter uses too many aliases.');
  }
}
