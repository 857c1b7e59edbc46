import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildConsole } from '../local/install/console-build.ts';
import { availableBase, buildImage } from './docker-build.ts';

/**
 * Builds the image that API, worker and relay of docker-compose.yml run from, as thermidora:<version>:
 *
 *   npm run image:app <version>
 *
 * `npm run build:console && docker compose build` does the same where image registries can be reached.
 */
const version = process.argv[2] ?? process.env['VERSION'];
if (version === undefined) throw new Error('Give the version: npm run image:app <version>');

const say = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
const image = `thermidora:${version}`;
await buildConsole(join(import.meta.dirname, '..'));
const base = process.env['BASE'] ?? (await availableBase(say));
say(`Building ${image} on ${base}.`);
await buildImage({ image, dockerfile: 'Dockerfile', inputs: ['Dockerfile', ...(await sources())], base });
say(`The image ${image} is built.`);

/** What .dockerignore lets through. */
async function sources(): Promise<string[]> {
  const lines = (await readFile(join(import.meta.dirname, '../.dockerignore'), 'utf8')).split('\n');
  return lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
}
