import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { GATEWAY_PORT, OUR_DIR, PROGRAM } from '../../../runtime/docker/in-container.ts';
import { imageName } from '../../../runtime/docker/image.ts';
import { docker } from '../../support/docker-under-test.ts';

const SUPPORT = 'test/support';
const SCRIPTED = ['fake-model-script.ts', 'scripted-gateway'];

/**
 * Answers a GET when it has done a little of what agents do: watched a folder, written a file, run a program, and
 * with `?connect=<host>:<port>` opened a connection. What does not work is a 500 that says so. A POST runs the script that
 * it carries, as OpenClaw runs the commands of agents, and answers what that prints.
 */
const PROGRAM_TEXT = `
  import { execFile } from 'node:child_process';
  import { once } from 'node:events';
  import { watch } from 'node:fs';
  import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
  import { createServer } from 'node:http';
  import { connect } from 'node:net';
  import { text } from 'node:stream/consumers';
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

  async function run(script) {
    const child = execFile('sh', ['-c', 'exec 2>&1; ' + script]);
    return { said: await text(child.stdout) };
  }

  createServer(async (request, response) => {
    const target = new URL(request.url, 'http://here').searchParams.get('connect');
    const done = request.method === 'POST' ? text(request).then(run) : work(target);
    const [status, answer] = await done.then((result) => [200, result], (error) => [500, { error: String(error) }]);
    response.writeHead(status).end(JSON.stringify(answer));
  }).listen(${GATEWAY_PORT}, '0.0.0.0');
  process.on('SIGTERM', () => process.exit(0));
`;

/** The image of instances with a small program in the gateway's place, which is there at once. Returns its name. */
export function standInImage(): Promise<string> {
  return buildOn('thermidora-stand-in', async (root) => putProgram(root, PROGRAM_TEXT));
}

/** The image of instances with the scripted gateway in the real one's place. Returns its name. */
export function scriptedImage(): Promise<string> {
  return buildOn('thermidora-scripted', async (root) => {
    const support = join(root, OUR_DIR, SUPPORT);
    for (const name of SCRIPTED)
      await cp(join(import.meta.dirname, '../../support', name), join(support, name), { recursive: true });
    // OpenClaw has the packages that it needs.
    await symlink(dirname(dirname(dirname(PROGRAM.entry))), join(root, OUR_DIR, 'node_modules'));
    await putProgram(root, `import '${OUR_DIR}/${SUPPORT}/scripted-gateway/main.ts';\n`);
  });
}

async function putProgram(root: string, text: string): Promise<void> {
  const entry = join(root, PROGRAM.entry);
  await mkdir(dirname(entry), { recursive: true });
  await writeFile(entry, text);
}

/** Builds the image of instances with these files over its own; at once when nothing of them has changed. */
async function buildOn(name: string, putFiles: (root: string) => Promise<void>): Promise<string> {
  const base = await imageName();
  const image = base.replace('thermidora-instance:', `${name}:`);
  const folder = await mkdtemp(join(tmpdir(), 'stand-in-'));
  try {
    await putFiles(join(folder, 'root'));
    await writeFile(join(folder, 'Dockerfile'), `FROM ${base}\nCOPY root /\n`);
    await docker('build', '--quiet', '--tag', image, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
  return image;
}
