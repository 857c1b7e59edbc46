import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlScripted } from '../scripted-gateway/scripted-control.ts';
import type { TenantPlace } from './tenant.ts';

const MEBIBYTE = 1024 ** 2;
/** Of most floods: ten times what an account may call in a minute, from its first second on. */
const CALLS_PER_SECOND = 100;
/** Bodies of 14 MiB: half of a gigabit each second. */
const LARGE_BODIES_PER_SECOND = 4;

/** How often each status was answered; `none` where no answer came. */
export type Answers = Record<string, number>;

/** Sends too much of one thing until it is stopped. */
type Flood = (flooding: Flooding) => Promise<void>;

interface Flooding {
  place: TenantPlace;
  signal: AbortSignal;
  /** Makes one call as the customer and counts its answer; what it was. */
  send(method: string, path: string, body?: object): Promise<{ status: number | null; body: unknown }>;
  /** The same with a body that is made already, to any address. */
  post(url: string, headers: Record<string, string>, body: Bytes | ReadableStream<Bytes>): Promise<void>;
  /** So many callers at once, each again and again until it is stopped; together they call at most so often. */
  repeat(callers: number, call: (round: number, caller: number) => Promise<unknown>, perSecond?: number): Promise<void>;
}

type Bytes = Uint8Array<ArrayBuffer>;

const bytesOf = (body: object): Bytes => new TextEncoder().encode(JSON.stringify(body));
const text = (bytes: number) => 'lorem ipsum '.repeat(bytes / 12);
const lines = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_none, index) => line(index)).join('\n');

/** Every flood by its name. Each is what one account can do with calls that are allowed. */
export const FLOODS = {
  async starts({ send, repeat, place }) {
    const ids: string[] = [place.instanceId];
    await repeat(8, async (round, caller) => {
      if (round === 0) {
        const { status, body } = await send('POST', '/instances', { name: `flood ${caller}` });
        if (status === 201 && body !== null && typeof body === 'object' && 'instanceId' in body)
          ids.push(String(body.instanceId));
        return;
      }
      const path = `/instances/${ids[(round + caller) % ids.length]}`;
      await send('POST', `${path}/${round % 2 === 0 ? 'start' : 'stop'}`);
      await send('POST', `${path}/secrets`, { secrets: { KEY: `${round}` } });
    });
  },
  async bodies({ post, repeat, place }) {
    const url = `${place.url}/v1/instances/${place.instanceId}/skills`;
    const headers = { 'x-api-key': place.apiKey, 'content-type': 'application/json' };
    const body = bytesOf({ name: 'large', files: { 'SKILL.md': '# Large', 'a.md': text(14 * MEBIBYTE) } });
    const half = body.slice(0, body.length / 2);
    /** Its second half never comes. */
    const slow = () => new ReadableStream<Bytes>({ start: (controller) => controller.enqueue(half) });
    const isSlow = (caller: number) => caller >= 8;
    await repeat(9, (_round, caller) => post(url, headers, isSlow(caller) ? slow() : body), LARGE_BODIES_PER_SECOND);
  },
  async 'relay calls'({ post, repeat, place }) {
    const headers = { authorization: `Bearer ${place.relayToken}`, 'content-type': 'application/json' };
    const url = `${place.relayUrl}/chat/completions`;
    const [long, short] = [4 * MEBIBYTE, 1_000].map((bytes) =>
      bytesOf({ model: place.model, messages: [{ role: 'user', content: text(bytes) }] }),
    );
    await repeat(64, (round, caller) => post(url, headers, ((round + caller) % 16 === 0 ? long : short) ?? new Uint8Array()));
  },
  async logs({ send, repeat, place }) {
    const path = `/instances/${place.instanceId}`;
    const secrets = Object.fromEntries(
      Array.from({ length: 15 }, (_none, index) => [`KEY_${index}`, lines(100, (line) => `password ${index} ${line}`)]),
    );
    await send('POST', `${path}/secrets`, { secrets });
    await writeFile(
      place.outputFile,
      lines(5_000, (line) => `password ${line % 15} ${line} passwort`),
    );
    await repeat(16, () => send('GET', `${path}/logs?limit=1000`));
  },
  async events({ send, repeat, place, signal }) {
    const control = controlScripted(place.stateDir);
    control.misbehave({ kind: 'pour', perSecond: 10_000 }, { survivesRestart: true });
    signal.addEventListener('abort', () => control.behave());
    await repeat(8, () => send('GET', '/events?limit=200'));
  },
  async files({ send, repeat, place }) {
    const path = `/instances/${place.instanceId}/agents/${place.agentId}`;
    await repeat(16, (round, caller) =>
      send('PATCH', path, {
        files: Object.fromEntries(
          Array.from({ length: 40 }, (_none, index) => [`f${index}.md`, `${caller} ${round} ${text(12_000)}`]),
        ),
      }),
    );
  },
  async waits({ send, repeat, place, signal }) {
    const control = controlScripted(place.stateDir);
    control.misbehave({ kind: 'hang' }, { survivesRestart: true });
    signal.addEventListener('abort', () => control.behave());
    const path = `/instances/${place.instanceId}/agents/${place.agentId}/messages`;
    await repeat(150, (_round, caller) => send('POST', path, { message: 'Hello', sessionId: `s${caller}`, timeoutMs: 60_000 }));
  },
  async messages({ send, repeat, place }) {
    const path = `/instances/${place.instanceId}/agents/${place.agentId}/messages`;
    await repeat(32, (round, caller) => send('POST', path, { message: `${round} ${text(100_000)}`, sessionId: `s${caller}` }));
  },
  async 'wrong keys'({ post, repeat, place }) {
    await repeat(32, (round, caller) =>
      post(
        `${place.url}/v1/auth/keys`,
        { 'x-api-key': `tc_live_${caller}_${round}`, 'content-type': 'application/json' },
        bytesOf({ name: 'k' }),
      ),
    );
  },
} satisfies Record<string, Flood>;

export type FloodName = keyof typeof FLOODS;
export const FLOOD_NAMES = Object.keys(FLOODS) as FloodName[]; // Object.keys forgets the key type.

/** Floods until the signal aborts, and says what was answered. A refusal slows no caller down. */
export async function flood(name: FloodName, place: TenantPlace, signal: AbortSignal): Promise<Answers> {
  const answers: Answers = {};
  const headers = { 'x-api-key': place.apiKey };
  const count = async (response: Promise<Response>): Promise<{ status: number | null; body: unknown }> => {
    try {
      const { status, body } = await response.then(async (it) => ({
        status: it.status,
        body: await it.json().catch(() => null),
      }));
      answers[status] = (answers[status] ?? 0) + 1;
      return { status, body };
    } catch {
      if (!signal.aborted) answers['none'] = (answers['none'] ?? 0) + 1;
      return { status: null, body: null };
    }
  };
  const flooding: Flooding = {
    place,
    signal,
    send: (method, path, body) =>
      count(
        fetch(`${place.url}/v1${path}`, {
          method,
          signal,
          headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
          ...(body ? { body: JSON.stringify(body) } : {}),
        }),
      ),
    post: async (url, given, body) =>
      void (await count(fetch(url, { method: 'POST', headers: given, body, signal, duplex: 'half' }))),
    async repeat(callers, call, perSecond = CALLS_PER_SECOND) {
      const everyMs = 1_000 / perSecond;
      let nextMs = performance.now();
      const caller = async (number: number): Promise<void> => {
        for (let round = 0; !signal.aborted; round += 1) {
          nextMs = Math.max(performance.now(), nextMs + everyMs);
          await sleep(Math.max(0, nextMs - performance.now()), undefined, { signal }).catch(() => undefined);
          if (!signal.aborted) await call(round, number);
        }
      };
      await Promise.all(Array.from({ length: callers }, (_none, number) => caller(number)));
    },
  };
  await FLOODS[name](flooding);
  return answers;
}
