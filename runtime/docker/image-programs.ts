/** What skills ask for and find in the image; its own test looks whether each is there. */
export const IMAGE_PROGRAMS: ReadonlySet<string> = new Set([
  'bash',
  'curl',
  'file',
  'gh',
  'git',
  'jq',
  'node',
  'npm',
  'npx',
  'python3',
  'rg',
  'ssh',
  'tmux',
  'unzip',
  'zip',
]);
