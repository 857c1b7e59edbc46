/** What the secret of an instance is bound to where it is encrypted: moved to another row it cannot be read. */
export function secretPlace({ accountId, instanceId, key }: { accountId: string; instanceId: string; key: string }): string {
  return `secrets/${accountId}/${instanceId}/${key}`;
}
