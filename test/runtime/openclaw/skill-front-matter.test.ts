import { expect, test } from '@jest/globals';
import {
  firstLineOf,
  FrontMatterError,
  readSkillManifest,
  withSkillManifest,
} from '../../../runtime/openclaw/skill-front-matter.ts';

const BODY = 'Say the weather.';
const FRONT = '---\nname: weather\ndescription: "Tells: the weather"\n---\n';
const given = { name: 'mine', description: 'not used' };

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
  expect(firstLineOf(text)).toBe(BODY);
  const stored = withSkillManifest(text, given);
  expect(stored).toMatch(/^---\nname: mine\n/);
  expect(stored.match(/^---$/gm)).toHaveLength(2);
  expect(readSkillManifest(stored)).toMatchObject({ name: 'mine', description: 'Tells: the weather' });
});

test('a rule further down is a part of the text', () => {
  for (const text of [`${BODY}\n${FRONT}`, `  ${FRONT}`]) {
    expect(readSkillManifest(text).name).toBeNull();
    expect(withSkillManifest(text, given)).toContain(text);
  }
});

test('a front matter without an end is refused, also behind a blank line', () => {
  for (const before of ['', '\n']) expect(() => readSkillManifest(`${before}---\nname: x\n`)).toThrow(FrontMatterError);
});
