/** What is no number of tokens is the limit: it is not the caller who decides. */
export function withinLimit(asked: unknown, maxTokens: number): number {
  return typeof asked === 'number' && asked >= 1 ? Math.min(Math.floor(asked), maxTokens) : maxTokens;
}
