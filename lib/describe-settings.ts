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
  // Its default is a number that differs from machine to machine.
  MAX_RUNNING: 'from the memory',
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

/** The table of README.md. */
export function settingsTable(): string {
  const rows = settings().map(
    ({ name, fallback, description }) => `| \`${name}\` | ${fallback ?? 'none'} | ${description.replaceAll('|', '\\|')} |`,
  );
  return ['| name | default | what |', '|---|---|---|', ...rows, ''].join('\n');
}
