export interface Welcome {
  apiOrigin: string;
  /** Null when the Temporal in use is not ours. */
  temporalUi: string | null;
  inviteCode: string;
  /** The token itself when it was made just now, else where it is kept. */
  operatorToken: string;
  /** The upstream that answers, or null for the echo model. */
  modelUpstream: string | null;
  logDir: string;
  warnings: readonly string[];
}

/** What npm start says when all runs: where everything is, and a first call to try. */
export function welcome(facts: Welcome): string {
  const rows: [string, string][] = [
    ['API', `${facts.apiOrigin}/v1`],
    ['Reference', `${facts.apiOrigin}/docs`],
    ['Temporal Web UI', facts.temporalUi ?? 'that of TEMPORAL_ADDRESS'],
    ['Invite code', facts.inviteCode],
    ['Operator token', facts.operatorToken],
    ['Models', facts.modelUpstream ?? 'the built-in echo model (MODEL_UPSTREAM_URL is not set)'],
    ['Logs', facts.logDir],
    ['Stop', 'Ctrl-C; the next npm start goes on where it was'],
  ];
  const register = [
    `curl -s ${facts.apiOrigin}/v1/auth/register -H 'content-type: application/json' \\`,
    `  -d '{"name":"Ada","email":"ada@example.com","inviteCode":"${facts.inviteCode}"}'`,
  ];
  return [
    '',
    ...box('Thermidora runs', rows),
    ...facts.warnings.flatMap((warning) => ['', `Note: ${warning}`]),
    '',
    'Try it (README.md goes on from here):',
    '',
    ...register,
    '',
  ].join('\n');
}

function box(title: string, rows: readonly [string, string][]): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(nameWidth)}  ${value}`);
  const width = Math.max(title.length, ...lines.map((line) => line.length));
  const bar = '─'.repeat(width + 2);
  return [`┌${bar}┐`, ...[title, '', ...lines].map((line) => `│ ${line.padEnd(width)} │`), `└${bar}┘`];
}
