// A conversation with nothing but Node: an instance, an agent, and a reply as it is written.
// Usage: API_KEY=$(cat .thermidora/api-key) npx node examples/first-conversation.ts
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const { API_URL = 'http://127.0.0.1:3000/v1', API_KEY = '' } = process.env;

interface Instance {
  instanceId: string;
  status: string;
}
interface Agent {
  agentId: string;
}
interface Chunk {
  choices: { delta: { content?: string } }[];
}

async function send(method: string, path: string, body?: object): Promise<Response> {
  const response = await fetch(`${API_URL}${path}`, {
    method,
    // The same key with each retry of the same call: the work is done once.
    headers: { 'x-api-key': API_KEY, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return response;
}

/** The words of a streamed reply, as they come. */
async function* wordsOf(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    if (!line.startsWith('data: {')) continue;
    const chunk = JSON.parse(line.slice('data: '.length)) as Chunk;
    yield chunk.choices[0]?.delta.content ?? '';
  }
}

/** An instance is a gateway of your own. It starts in about fifteen seconds; `wait` answers when it runs, or after a minute. */
async function startInstance(): Promise<string> {
  const { instanceId } = (await (await send('POST', '/instances', { name: 'typescript' })).json()) as Instance;
  let status = 'provisioning';
  for (let minute = 0; minute < 5 && status === 'provisioning'; minute += 1) {
    const answer = await send('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
    ({ status } = (await answer.json()) as Instance);
  }
  if (status !== 'running') throw new Error(`${instanceId} is ${status}`);
  return instanceId;
}

const instanceId = await startInstance();
const agents = `/instances/${instanceId}/agents`;
const { agentId } = (await (
  await send('POST', agents, { name: 'helper', slug: 'helper', displayName: 'Helper' })
).json()) as Agent;

const reply = await send('POST', `${agents}/${agentId}/messages`, { message: 'Good morning!', stream: true });
for await (const word of wordsOf(reply)) process.stdout.write(word);
process.stdout.write('\n');

await send('DELETE', `/instances/${instanceId}`);
