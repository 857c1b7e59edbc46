import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM } from '../docker/in-container.ts';
import { renderConfig } from '../openclaw/install/render-config.ts';
import { gatewayEnvironment } from '../host/gateway-environment.ts';

/** While the image is built: starts a gateway once and ends it, so that V8's compile cache is full and part of the image. */
const PORT = 18_789;
const READY_MS = 300_000;
const POLL_MS = 250;

const stateDir = await mkdtemp(join(tmpdir(), 'warm-up-'));
const configFile = join(stateDir, 'openclaw.json');
const paths = {
  stateDir,
  logFile: join(stateDir, 'gateway.log'),
  workspaceOf: (agent: string) => join(stateDir, 'workspaces', agent),
  agentDirOf: (agent: string) => join(stateDir, 'agents', agent, 'agent'),
};
const agent = {
  gatewayAgentId: 'warm',
  model: { id: 'none', contextWindow: 128_000, maxTokens: 8_192 },
  relayToken: 'none',
};
const content = { gatewayToken: 'none', relayUrl: 'http://127.0.0.1:1/v1', paths, turnTimeoutSeconds: 60, agents: [agent] };
await writeFile(configFile, renderConfig(content, { port: PORT, bind: 'lan' }));

const gateway = spawn(PROGRAM.node, [PROGRAM.entry, 'gateway'], {
  cwd: stateDir,
  env: gatewayEnvironment({ stateDir, configFile }, PROGRAM),
  stdio: 'inherit',
});
const ended = new Promise<number | null>((resolve) => gateway.once('exit', resolve));
await becomesReady();
gateway.kill('SIGTERM');
const code = await ended;
const cached = await readdir(PROGRAM.compileCacheDir, { recursive: true });
if (code !== 0 || cached.length < 100)
  throw new Error(`The gateway ended with ${code} and left ${cached.length} compiled modules: the image would start slowly.`);
process.stdout.write(`${cached.length} compiled modules are in the image.\n`);
await rm(stateDir, { recursive: true });

async function becomesReady(): Promise<void> {
  const giveUp = AbortSignal.timeout(READY_MS);
  for (;;) {
    if (await isReady()) return;
    if (gateway.exitCode !== null) throw new Error(`The gateway ended with ${gateway.exitCode} before it was ready.`);
    giveUp.throwIfAborted();
    await sleep(POLL_MS);
  }
}

async function isReady(): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${PORT}/readyz`)).status === 200;
  } catch {
    return false;
  }
}
