import { expect, test } from '@jest/globals';
import { filePathProblem, utf8Length } from '../../domain/agents/file-path.ts';
import { workspaceProblems } from '../../domain/agents/workspace-files.ts';

test.each(['SOUL.md', 'notes/2026-01-31.md', 'a b/ü.txt', '.hidden', 'a..b', '...'])('%j is a path of a workspace', (path) => {
  expect(filePathProblem(path)).toBeNull();
});

test.each([
  '',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  'a/../b',
  './a',
  'a\\b',
  'C:a',
  'a\0b',
  'a\nb',
  '\ud800',
  'ü'.repeat(128),
  'ab/'.repeat(171) + 'c',
])('%j is none, and the sentence says why', (path) => {
  expect(filePathProblem(path)).toMatch(/\.$/);
});

test.each([
  ['', 0],
  ['a\0b', 3],
  ['ü', 2],
  ['€', 3],
  ['😀', 4],
  ['mixed ü€😀', 15],
  // As it is written where it cannot be refused: as the replacement character.
  ['\ud83d', 3],
])('%j has a length of %d bytes in UTF-8', (text, bytes) => {
  expect(utf8Length(text)).toBe(bytes);
});

test('exactly 64 files of 1 MiB in all are a workspace, one more of either is none', () => {
  const files = new Map(Array.from({ length: 64 }, (_none, index) => [`f${index}`, 'x'.repeat(16 * 1024)]));
  expect(workspaceProblems(files)).toEqual([]);
  expect(workspaceProblems(new Map([...files, ['one-more', '']]))).toHaveLength(1);
  expect(workspaceProblems(new Map([...files, ['f0', 'x'.repeat(16 * 1024 + 1)]]))).toHaveLength(1);
});
