import { expect, test } from '@jest/globals';
import { skillEnvironments } from '../../activities/content/skill-content.ts';

const skill = (name: string, requiresEnv: string[], settingsKey: string | null = null) => ({
  id: name,
  name,
  type: 'custom' as const,
  requiresEnv,
  settingsKey,
  isActive: true,
});
const manifest = (skillName: string, skillKey?: string) => ({
  skillName,
  path: 'SKILL.md',
  content: `---\nname: ${skillName}\n${skillKey === undefined ? '' : `metadata: { "openclaw": { "skillKey": "${skillKey}" } }\n`}---\nx`,
});

test('a skill gets the secrets that it asks for under its own settings key, or else its name, and skills of one key share them', () => {
  const skills = [skill('plain', ['A', 'MISSING']), skill('one', ['A']), skill('two', ['B']), skill('none', ['MISSING'])];
  const skillFiles = [manifest('plain'), manifest('one', 'shared'), manifest('two', 'shared'), manifest('none')];
  const secrets = new Map([
    ['A', 'a'],
    ['B', 'b'],
    ['C', 'c'],
  ]);
  expect(skillEnvironments({ skills, skillFiles }, secrets)).toEqual({ plain: { A: 'a' }, shared: { A: 'a', B: 'b' } });
});

test('the key that was stored with a skill counts, whatever its SKILL.md says, and one that cannot be read says nothing', () => {
  const skills = [skill('stored', ['A'], 'known'), skill('unreadable', ['A'])];
  const skillFiles = [manifest('stored', 'other'), { ...manifest('unreadable'), content: `---\n${'x: 1\n'.repeat(4_000)}---\n` }];
  expect(skillEnvironments({ skills, skillFiles }, new Map([['A', 'a']]))).toEqual({ known: { A: 'a' }, unreadable: { A: 'a' } });
});
