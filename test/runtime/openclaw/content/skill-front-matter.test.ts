import { describe, expect, test } from '@jest/globals';
import { completeSkill, FrontMatterError, readSkillManifest } from '../../../../runtime/openclaw/content/skill-front-matter.ts';

const BODY = 'Say the weather.';
const FRONT = '---\nname: weather\ndescription: "Tells: the weather"\n---\n';
const given = { name: 'mine', description: 'given' };

test.each([
  ['nothing', ''],
  ['a byte order mark', '\uFEFF'],
  ['two byte order marks', '\uFEFF\uFEFF'],
  ['a blank line', '\n'],
  ['lines with blanks and tabs', ' \n\t \n\n'],
  ['blank lines that end with CRLF', '\r\n \r\n'],
  ['blank lines that end with CR', '\r\r'],
  ['a byte order mark and a blank line', '\uFEFF\n'],
  ['a blank line and a byte order mark', '\n\uFEFF'],
])('the front matter is read behind %s, and stored at the very beginning', (_what, before) => {
  const text = `${before}${FRONT}\n${BODY}`;
  expect(readSkillManifest(text)).toMatchObject({ name: 'weather', description: 'Tells: the weather' });
  const stored = completeSkill(text, given);
  expect(stored.text).toMatch(/^---\nname: mine\n/);
  expect(stored.text.match(/^---$/gm)).toHaveLength(2);
  expect(stored.manifest).toMatchObject({ name: 'mine', description: 'Tells: the weather' });
  expect(readSkillManifest(stored.text)).toEqual(stored.manifest);
});

test.each([
  ['the given one', `# Title\n${BODY}`, given.description, 'given'],
  ['else its first sentence', `# Title\n\n${BODY}\nMore.`, undefined, BODY],
  ['else its name', '# Title', undefined, 'mine'],
])('of a SKILL.md without a description it is %s', (_what, text, description, expected) => {
  const { manifest, text: stored } = completeSkill(text, { name: 'mine', description });
  expect([manifest.description, readSkillManifest(stored)]).toEqual([expected, manifest]);
});

test('a rule further down is a part of the text', () => {
  for (const text of [`${BODY}\n${FRONT}`, `  ${FRONT}`]) {
    expect(readSkillManifest(text).name).toBeNull();
    expect(completeSkill(text, given).text).toContain(text);
  }
});

describe('a front matter is refused', () => {
  const refusal = (front: string) => {
    const read = () => completeSkill(`---\n${front}`, given);
    expect(read).toThrow(FrontMatterError);
    return expect(read);
  };

  test('without an end, also behind a blank line', () => {
    for (const before of ['', '\n']) expect(() => readSkillManifest(`${before}---\nname: x\n`)).toThrow(FrontMatterError);
  });

  test('of more than 16 KiB, before it is read', () => {
    const front = (bytes: number) => `a: é${'x'.repeat(bytes - 5)}\n---\n`;
    expect(completeSkill(`---\n${front(16 * 1024)}`, given).manifest.name).toBe('mine');
    refusal(front(16 * 1024 + 1)).toThrow('more than 16384 bytes');
  });

  test.each([
    ['at the top', 'a: 1\nb: 2\na: 3\n---\n'],
    ['further down', 'a: [{ b: { c: 1, d: 1, c: 2 } }]\n---\n'],
  ])('that has a field twice %s', (_where, front) => refusal(front).toThrow('a field twice'));

  test.each([
    ['multiply', `a: &a [x]\n${Array.from({ length: 12 }, (_, index) => `b${index}: *a\n`).join('')}---\n`],
    ['name nothing', 'a: *nothing\n---\n'],
  ])('whose aliases %s', (_what, front) => refusal(front).toThrow('aliases'));
});
