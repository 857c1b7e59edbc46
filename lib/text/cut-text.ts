const encoder = new TextEncoder();

/**
 * The longest beginning of a text that takes at most this many bytes in UTF-8, and whether that is less than all of it.
 * No character is cut in the middle.
 */
export function cutText(text: string, maxBytes: number): { text: string; isCut: boolean } {
  if (Buffer.byteLength(text) <= maxBytes) return { text, isCut: false };
  const { read } = encoder.encodeInto(text, new Uint8Array(maxBytes));
  return { text: text.slice(0, read), isCut: true };
}
