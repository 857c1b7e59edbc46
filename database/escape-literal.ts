/**
 * A text as a literal of PostgreSQL: the same as MikroORM's own, which makes a string of each character and so takes a
 * second for five megabytes.
 */
export function escapeLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return quoted.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
