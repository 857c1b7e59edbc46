export const SCOPES = ['read', 'messages', 'write', 'secrets', 'keys'] as const;
export type Scope = (typeof SCOPES)[number];

/** What a key with the scope may do. */
export const SCOPE_TEXTS: Record<Scope, string> = {
  read: 'read everything but values of secrets',
  messages: 'send and cancel messages',
  write: 'change instances, agents, files, skills, cron jobs and webhooks',
  secrets: 'store and delete secrets',
  keys: 'create and revoke keys',
};
