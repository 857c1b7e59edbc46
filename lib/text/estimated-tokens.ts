/** Fewer than a token of any common language has on average, so that what is estimated is rather too much. */
const BYTES_PER_TOKEN = 3;

/** How many tokens a text of so many bytes has at most, as a rule. */
export function estimatedTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}
