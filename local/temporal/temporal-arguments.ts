import { SEARCH_ATTRIBUTES } from '../../domain/temporal/search-attributes.ts';

/** Measured: with its own defaults this server does a quarter to a fifth of the work on one machine. */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=200',
  'history.timerProcessorMaxPollRPS=200',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  'system.enableActivityEagerExecution=true',
  'matching.enableFairness=true',
];

/** The command line of Temporal's development server, on the loopback address. Without a port for it there is no Web UI. */
export function devServerArguments({
  port,
  uiPort,
  databaseFile,
  searchAttributes = SEARCH_ATTRIBUTES,
}: {
  port: number;
  uiPort?: number;
  databaseFile: string;
  /** Made in the default namespace at the start, so that no client has to wait for them. */
  searchAttributes?: readonly string[];
}): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn'],
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...['--db-filename', databaseFile, '--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
    ...DYNAMIC_CONFIG.flatMap((setting) => ['--dynamic-config-value', setting]),
    ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
}
