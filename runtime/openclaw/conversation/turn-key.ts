/**
 * The idempotency key of one attempt at a turn, which is the gateway's run id too. The first is the message id itself;
 * a gateway that has spent it takes the turn only under another.
 */
export function turnKey(messageId: string, attempt: number): string {
  if (!Number.isSafeInteger(attempt) || attempt < 1) throw new Error(`Not the number of an attempt: ${attempt}`);
  return attempt === 1 ? messageId : `${messageId}~${attempt}`;
}

/** The message whose turn this key belongs to. */
export function messageIdOfKey(key: string): string {
  return key.replace(/~\d+$/, '');
}

/** The message whose turn this run is; null for a run that the gateway began unprompted. */
export function messageIdOfRun(runId: string): string | null {
  return runId.startsWith('msg_') ? messageIdOfKey(runId) : null;
}
