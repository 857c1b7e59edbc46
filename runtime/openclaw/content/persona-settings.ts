/**
 * How many characters of persona files an agent may be given: half as many as its model has tokens of context, so that
 * in any language there is room for the conversation.
 */
export function maxPersonaChars(contextWindow: number): number {
  return Math.floor(contextWindow / 2);
}

/**
 * How much of the persona files a gateway puts into the prompt, in characters: whatever an agent may be given is there
 * whole, and as much again of what the agent writes into these files itself.
 */
export function personaSettings(contextWindow: number): { bootstrapMaxChars: number; bootstrapTotalMaxChars: number } {
  const most = maxPersonaChars(contextWindow);
  return { bootstrapMaxChars: most, bootstrapTotalMaxChars: 2 * most };
}
