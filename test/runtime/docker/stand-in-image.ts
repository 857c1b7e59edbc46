import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GATEWAY_PORT, PROGRAM } from '../../../runtime/docker/in-container.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker } from '../../support/docker-under-test.ts';

/**
 * Answers each request when it has done a little of what agents do: watched a folder, written a file, run a program, and
 * with `?connect=<host>:<port>` opened a connection. What does not work is a 500 that says so.
 */
const PROGRAM_TEXT = `
  import { execFile } from 'node:child_process';
  import { once } from 'node:events';
  import { watch } from 'node:fs';
  import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
  import { createServer } from 'node:http';
  import { connect } from 'node:net';
  import { promisify } from 'node:util';

  async function work(target) {
    const folder = await mkdtemp(process.env.TMPDIR + '/work-');
    const watcher = watch(folder);
    try {
      await writeFile(folder + '/file', Buffer.alloc(1024 * 1024, 'x'));
      const { length } = await readFile(folder + '/file');
      const { stdout } = await promisify(execFile)('id', ['-u']);
      if (target) {
        const [host, port] = target.split(':');
        const socket = connect(Number(port), host);
        await once(socket, 'connect');
        socket.destroy();
      }
      return { length, uid: Number(stdout) };
    } finally {
      watcher.close();
      await rm(folder, { recursive: true });
    }
  }

  createServer(async ({ url }, response) => {
    const target = new URL(url, 'http://here').searchParams.get('connect');
    const [status, answer] = await work(target).then((done) => [200, done], (error) => [500, { error: String(error) }]);
    response.writeHead(status).end(JSON.stringify(answer));
  }).listen(${GATEWAY_PORT}, '0.0.0.0');
  process.on('SIGTERM', () => process.exit(0));
`;

/** The image of instances with a small program in the gateway's place, which is there at once. Returns its name. */
export async function standInImage(): Promise<string> {
  const base = await imageName();
  const image = base.replace('thermidora-instance:', 'thermidora-stand-in:');
  const folder = await mkdtemp(join(tmpdir(), 'stand-in-'));
  try {
    await writeFile(join(folder, 'index.js'), PROGRAM_TEXT);
    await writeFile(join(folder, 'Dockerfile'), `FROM ${base}\nCOPY index.js ${PROGRAM.entry}\n`);
    await docker('build', '--quiet', '--tag', image, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
  return image;
}
