/** What the secrets of a webhook are bound to where they are encrypted. */
export function webhookPlace(webhookId: string): string {
  return `webhooks/${webhookId}`;
}
