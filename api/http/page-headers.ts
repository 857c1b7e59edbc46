/** Everything is loaded from our own origin, the page runs no inline script, and no page may frame it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
];

/** The headers of a page of ours and of what it loads; `more` is added to its policy. */
export function pageHeaders(...more: string[]): Record<string, string> {
  return {
    'Content-Security-Policy': [...POLICY, ...more].join('; '),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  };
}
