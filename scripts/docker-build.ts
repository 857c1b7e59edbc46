import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The base of our images. */
const PREFERRED_BASE = 'node:24-slim';
const NPM = {
  version: '11.21.2',
  integrity: 'sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==',
};
const ROOT = dirname(import.meta.dirname);

interface Build {
  image: string;
  /** From the root of the project. */
  dockerfile: string;
  /** What of the project goes into the build, from its root. */
  inputs: readonly string[];
  base: string;
}

/** Builds an image of ours. The certificate of a proxy that this machine's Node trusts is trusted by the build too. */
export async function buildImage({ image, dockerfile, inputs, base }: Build): Promise<void> {
  const extra = await mkdtemp(join(tmpdir(), 'thermidora-image-'));
  try {
    const ca = process.env['NODE_EXTRA_CA_CERTS'];
    await writeFile(join(extra, 'build-ca.pem'), ca ? await readFile(ca) : '');
    const sources = ['-c', '-C', ROOT, ...inputs, '-C', extra, 'build-ca.pem'];
    const files = spawn('tar', sources, { stdio: ['ignore', 'pipe', 'inherit'] });
    const options = ['--build-arg', `BASE=${base}`, '--tag', image, '--file', dockerfile];
    const docker = spawn('docker', ['build', ...options, '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
    files.stdout.pipe(docker.stdin);
    const codes = await Promise.all([files, docker].map(codeOf));
    if (codes.some((code) => code !== 0)) throw new Error('The image could not be built; see the output above.');
  } finally {
    await rm(extra, { recursive: true });
  }
}

/** node:24-slim, or what runtime/image/make-base.sh (which needs root and debootstrap) makes where that cannot be pulled. */
export async function availableBase(say: (sentence: string) => void): Promise<string> {
  if ((await imageExists(PREFERRED_BASE)) || (await run('docker', ['pull', '--quiet', PREFERRED_BASE]))) return PREFERRED_BASE;
  const made = `thermidora-base:node-${process.versions.node}`;
  if (await imageExists(made)) return made;
  say(`${PREFERRED_BASE} cannot be pulled; building ${made} instead (half a minute, once).`);
  if (!(await run(join(ROOT, 'runtime', 'image', 'make-base.sh'), [made, process.execPath, NPM.version, NPM.integrity])))
    throw new Error('The base image could not be built; see the output above. Set BASE to use another base image.');
  return made;
}

/** Whether this machine has the image. */
export async function imageExists(image: string): Promise<boolean> {
  return (await codeOf(spawn('docker', ['image', 'inspect', image], { stdio: 'ignore' }))) === 0;
}

async function run(command: string, arguments_: string[]): Promise<boolean> {
  return (await codeOf(spawn(command, arguments_, { stdio: ['ignore', 'inherit', 'inherit'] }))) === 0;
}

function codeOf(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
}
