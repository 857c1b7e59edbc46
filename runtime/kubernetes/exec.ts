import { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import type { OpenProgram } from '../inside/open-program.ts';
import type { Cluster } from './cluster.ts';
import { pathOf } from './names.ts';

export interface ExecTarget {
  pod: string;
  container: string;
  command: readonly string[];
}

/** Its first byte says what a message carries. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;
const PROTOCOL = 'v5.channel.k8s.io';
const MESSAGE_BYTES = 64 * 1024;
/** Messages that wait for their reader; then the sender waits. */
const MAX_WAITING = 16;
const KEPT_BYTES = 64 * 1024;
const status = z.looseObject({ status: z.string(), message: z.string().optional() });

/** A running program of a container; what it prints on its second output is kept for its end, up to 64 KiB. */
interface Execution extends OpenProgram {
  /** What it said on its second output, and why the server says that it failed; empty when it has not. */
  complaint(): string;
}

/** Starts a program in a container. When the signal is aborted its streams end, and its input tells it so. */
export async function openProgram({ api, namespace }: Cluster, target: ExecTarget, signal: AbortSignal): Promise<Execution> {
  const query = new URLSearchParams({ container: target.container, stdin: 'true', stdout: 'true', stderr: 'true' });
  for (const word of target.command) query.append('command', word);
  const socket = await api.connect(`${pathOf(namespace, 'pods', target.pod)}/exec`, query, PROTOCOL, signal);
  const { output, complaint } = outputOf(socket);
  return { input: inputOf(socket), output, complaint, close: () => closed(socket) };
}

/** Runs a program with this input to its end, and answers the end of what it printed. */
export async function runProgram(
  cluster: Cluster,
  target: ExecTarget,
  { input, signal }: { input: string; signal: AbortSignal },
): Promise<{ stdout: string; stderr: string }> {
  const program = await openProgram(cluster, target, signal);
  try {
    program.input.end(input);
    let stdout = Buffer.alloc(0);
    for await (const piece of program.output) stdout = Buffer.concat([stdout, piece]).subarray(-KEPT_BYTES);
    signal.throwIfAborted();
    return { stdout: stdout.toString(), stderr: program.complaint() };
  } finally {
    await program.close();
  }
}

function inputOf(socket: WebSocket): Writable {
  const send = (channel: number, bytes: Buffer, done: (error?: Error) => void) =>
    socket.send(Buffer.concat([Buffer.from([channel]), bytes]), (error) => done(error ?? undefined));
  const input = new Writable({
    highWaterMark: MESSAGE_BYTES,
    write(chunk: Buffer, _encoding, done) {
      const next = (from: number): void => {
        if (from >= chunk.length) return done();
        send(CHANNEL.stdin, chunk.subarray(from, from + MESSAGE_BYTES), (error) =>
          error ? done(error) : next(from + MESSAGE_BYTES),
        );
      };
      next(0);
    },
    final: (done) => send(CHANNEL.close, Buffer.from([CHANNEL.stdin]), done),
    // A program that must not take what it has for all of it sees its input break off.
    destroy(error, done) {
      if (error || !this.writableFinished) socket.terminate();
      done(error);
    },
  });
  socket.once('close', () => input.destroy());
  // The reader of its output hears of it.
  input.on('error', () => undefined);
  return input;
}

function outputOf(socket: WebSocket): Pick<Execution, 'output' | 'complaint'> {
  const waiting: Buffer[] = [];
  let said = Buffer.alloc(0);
  let failure = '';
  let hasEnded = false;
  let wake = (): void => undefined;
  socket.on('message', (data: Buffer) => {
    const [channel, bytes] = [data[0], data.subarray(1)];
    if (channel === CHANNEL.stdout && bytes.length > 0) waiting.push(bytes);
    if (channel === CHANNEL.stderr) said = Buffer.concat([said, bytes]).subarray(-KEPT_BYTES);
    if (channel === CHANNEL.status) failure = failureIn(bytes);
    if (waiting.length >= MAX_WAITING) socket.pause();
    wake();
  });
  socket.once('close', () => {
    hasEnded = true;
    wake();
  });
  async function* read(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const next = waiting.shift();
      if (next) yield next;
      else if (hasEnded) return;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        socket.resume();
        await promise;
      }
    }
  }
  return { output: read(), complaint: () => [said.toString(), failure].filter(Boolean).join('\n') };
}

function failureIn(bytes: Buffer): string {
  const told = status.safeParse(jsonOrNull(bytes.toString())).data;
  return told?.status === 'Success' ? '' : (told?.message ?? 'The program failed.');
}

function closed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.CLOSED) return resolve();
    socket.once('close', () => resolve());
    // Also one that is paused must see its end.
    socket.resume();
    socket.terminate();
  });
}
