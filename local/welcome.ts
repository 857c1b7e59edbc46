export interface Welcome {
  apiOrigin: string;
  /** Null when the Temporal in use is not ours. */
  temporalUi: string | null;
  /** The key of the local account: where it is kept, and the key itself when it was made just now. Null: there is no such account. */
  apiKey: { file: string; value: string | null } | null;
  inviteCode: string;
  /** The token itself when it was made just now, else where it is kept. */
  operatorToken: string;
  /** The upstream that answers, or null for the echo model. */
  modelUpstream: string | null;
  logDir: string;
  /** Opens the console: signed in where there is an account of this machine. */
  consoleUrl: string;
  warnings: readonly string[];
}

/** What npm start says when all runs: where everything is, and a first call to try. */
export function welcome(facts: Welcome): string {
  const rows: [string, string][] = [
    ['API', `${facts.apiOrigin}/v1`],
    ['Reference', `${facts.apiOrigin}/docs`],
    ['Temporal Web UI', facts.temporalUi ?? 'that of TEMPORAL_ADDRESS'],
    ...(facts.apiKey ? [['API key', facts.apiKey.value ?? facts.apiKey.file] satisfies [string, string]] : []),
    ['Invite code', facts.inviteCode],
    ['Operator token', facts.operatorToken],
    ['Models', facts.modelUpstream ?? 'the built-in echo model (MODEL_UPSTREAM_URL is not set)'],
    ['Logs', facts.logDir],
    ['Stop', 'Ctrl-C; the next npm start goes on where it was'],
    ['Console', facts.consoleUrl],
  ];
  return [
    '',
    ...box('Thermidora runs', rows),
    ...facts.warnings.flatMap((warning) => ['', `Note: ${warning}`]),
    '',
    'Try it (README.md goes on from here):',
    '',
    ...firstCall(facts),
    '',
  ].join('\n');
}

/** Starts an instance with the key of the local account, or registers an account where there is none. */
function firstCall({ apiOrigin, apiKey, inviteCode }: Welcome): string[] {
  const json = "-H 'content-type: application/json'";
  if (apiKey)
    return [
      `curl -s '${apiOrigin}/v1/instances?wait=60' -H "x-api-key: $(cat '${apiKey.file}')" ${json} \\`,
      `  -d '{"name":"first"}'`,
    ];
  return [
    `curl -s ${apiOrigin}/v1/auth/register ${json} \\`,
    `  -d '{"name":"Ada","email":"ada@example.com","inviteCode":"${inviteCode}"}'`,
  ];
}

function box(title: string, rows: readonly [string, string][]): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(nameWidth)}  ${value}`);
  const width = Math.max(title.length, ...lines.map((line) => line.length));
  const bar = '─'.repeat(width + 2);
  return [`┌${bar}┐`, ...[title, '', ...lines].map((line) => `│ ${line.padEnd(width)} │`), `└${bar}┘`];
}
