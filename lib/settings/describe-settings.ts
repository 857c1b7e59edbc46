import { settingsSchema } from './config.ts';

/** What `npm start` does about a setting that it was not given. */
const LOCAL: Readonly<Record<string, string>> = {
  DATABASE_URL: '`npm start`: its own PostgreSQL',
  TEMPORAL_ADDRESS: '`npm start`: its own Temporal, with the Web UI',
  MASTER_KEYS: '`npm start`: made once, kept in `DATA_DIR`',
  OPERATOR_TOKEN: '`npm start`: made once, printed, kept in `DATA_DIR`',
  SMTP_URL: '`npm start`: `print:`',
  WEBHOOK_ALLOW_PRIVATE: '`false`; `npm start`: `true`',
  MODELS: 'the two of the API reference',
  // Their defaults differ from machine to machine.
  MAX_RUNNING: 'from the memory',
  POOL_SIZE: '`1`; `0` where the memory holds one instance only',
  NODE_NAME: 'the host name',
};

interface Setting {
  name: string;
  /** Markdown, or null when there is none. */
  fallback: string | null;
  description: string;
}

function settings(): Setting[] {
  return Object.entries(settingsSchema.shape).map(([name, schema]) => {
    const parsed = schema.safeParse(undefined);
    const value = parsed.success && typeof parsed.data !== 'object' && parsed.data !== undefined ? `\`${parsed.data}\`` : null;
    return { name, fallback: LOCAL[name] ?? value, description: schema.description ?? '' };
  });
}

/** The text of `.env.example`. */
export function envExample(): string {
  const entries = settings().map(({ name, fallback, description }) => {
    const text = `${description}${fallback === null ? '' : `. Default: ${fallback}`}`;
    return `# ${text.replaceAll('`', '')}\n#${name}=\n`;
  });
  return `# Copy to .env and set what should differ. The environment wins over .env; an empty value counts as unset.\n# Each may stand in a file instead: NAME_FILE names it. For secrets.\n\n${entries.join('\n')}`;
}

const PAGE = `# Settings

Written by \`npm run settings\` from \`lib/settings/config.ts\`; change the descriptions there.

Each process reads its settings once, at the start: from the environment, then from \`.env\` (see \`.env.example\`). An empty value counts as
unset. A wrong value stops the start with the name of the setting and the reason. Any setting may stand in a file instead, whose name
\`NAME_FILE\` gives: \`MODEL_UPSTREAM_KEY_FILE=/run/secrets/model-key\`.
`;

/** The text of `docs/SETTINGS.md`. */
export function settingsPage(): string {
  const rows = settings().map(
    ({ name, fallback, description }) => `| \`${name}\` | ${fallback ?? 'none'} | ${description.replaceAll('|', '\\|')} |`,
  );
  return [PAGE, '| name | default | what |', '|---|---|---|', ...rows, ''].join('\n');
}
