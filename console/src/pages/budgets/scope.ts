import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { Budget, Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';

/** What a budget may count, and what it is called. */
export const SCOPES = {
  instanceId: 'instance',
  agentId: 'agent',
  keyId: 'API key',
  senderId: 'end user',
  sessionId: 'session',
} as const;
export type ScopeKind = keyof typeof SCOPES;

export function isScopeKind(name: string): name is ScopeKind {
  return name in SCOPES;
}

/** The names of instances, agents and keys, by their ids. */
export function useScopeNames(): ReadonlyMap<string, string> {
  const cache = useQueryClient();
  const instances = cache.getQueryData<Instance[]>(['instances']) ?? [];
  const keys = useQuery({ queryKey: ['keys'], queryFn: () => Array.fromAsync(client.keys.list({ limit: 100 })) });
  return new Map([
    ...instances.map(({ instanceId, name }) => [instanceId, name] as const),
    ...instances.flatMap(({ agents }) => agents.map(({ agentId, slug }) => [agentId, slug] as const)),
    ...(keys.data ?? []).map(({ keyId, name }) => [keyId, name] as const),
  ]);
}

/** What a budget counts, in words. */
export function scopeText(scope: Budget['scope'], names: ReadonlyMap<string, string>): string {
  const parts = Object.entries(scope).flatMap(([kind, id]) => {
    if (id === undefined || !isScopeKind(kind)) return [];
    return [id === '*' ? `each ${SCOPES[kind]} separately` : `only the ${SCOPES[kind]} ${names.get(id) ?? id}`];
  });
  const text = parts.length === 0 ? 'the whole account' : parts.join(', ');
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
}
