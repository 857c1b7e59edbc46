const MAX_PATH_BYTES = 512;
const MAX_SEGMENT_BYTES = 255;

/** How many bytes this text takes in UTF-8. */
export function utf8Length(text: string): number {
  // Natively, because texts of megabytes are measured on the event loop.
  return Buffer.byteLength(text);
}

/** Says in a sentence why this is no path of a file in an agent's workspace; null when it is one. */
export function filePathProblem(path: string): string | null {
  if (path === '') return 'Give the file a name.';
  if (!path.isWellFormed() || /\p{Cc}/u.test(path)) return 'Leave out NUL and other control characters.';
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return 'Use a relative path such as notes/today.md, not an absolute one.';
  if (path.includes('\\')) return 'Separate folders with a slash, not a backslash.';
  const segments = path.split('/');
  if (segments.some((segment) => segment === '..' || segment === '.')) return 'Leave out "." and "..".';
  if (segments.includes('')) return 'Leave out empty folder names.';
  if (utf8Length(path) > MAX_PATH_BYTES || segments.some((segment) => utf8Length(segment) > MAX_SEGMENT_BYTES))
    return `Use at most ${MAX_PATH_BYTES} bytes, and ${MAX_SEGMENT_BYTES} for each name in it.`;
  return null;
}
