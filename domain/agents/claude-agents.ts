/** What a client of Claude Managed Agents says of an agent, as it is given back. */
export interface ClaudeDefinition {
  name: string;
  model: Record<string, unknown> & { id: string };
  system: string | null;
  description: string | null;
  tools: Record<string, unknown>[];
  metadata: Record<string, string>;
}

/** What of an environment has no meaning for an instance, and is given back. */
export interface ClaudeEnvironmentFields {
  config: Record<string, unknown>;
  description: string | null;
}

/** What a session is besides its conversation. */
export interface ClaudeSessionFields {
  title: string | null;
  metadata: Record<string, string>;
  /** The agent as it was when the session was opened. */
  agent: ClaudeDefinition & { id: string; version: number };
  /** The messages that it was created with, for as long as they wait for its environment, and the key that gave them. */
  initial?: { texts: string[]; keyId: string | null };
  /** The budget that it was created with. */
  budgetId?: string;
}
