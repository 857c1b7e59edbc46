const SLUG = /^[a-z][a-z0-9-]{0,30}[a-z0-9]$/;
const RESERVED: readonly string[] = ['main', 'default'];

/** Says in a sentence why this is no slug of an agent; null when it is one. */
export function slugProblem(slug: string): string | null {
  if (!SLUG.test(slug))
    return 'Use 2 to 32 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen.';
  if (slug.includes('--')) return 'Use single hyphens only.';
  if (RESERVED.includes(slug)) return `"${slug}" is reserved; choose another slug.`;
  return null;
}
