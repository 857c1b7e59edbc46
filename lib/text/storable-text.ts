/** The same text with U+FFFD for NUL and for halves of surrogate pairs, which PostgreSQL cannot store. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}
