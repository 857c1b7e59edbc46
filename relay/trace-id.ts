/** The trace id of a W3C `traceparent` header (32 lower-case hex digits), or null when there is none. */
export function traceIdOf(traceparent: string | undefined): string | null {
  const traceId = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(traceparent ?? '')?.[1];
  return traceId === undefined || /^0+$/.test(traceId) ? null : traceId;
}
