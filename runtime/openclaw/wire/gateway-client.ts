import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { approveDevice, deviceProof } from './device-identity.ts';
import type { DeviceIdentity } from './device-identity.ts';
import { GatewayConnection } from './gateway-connection.ts';
import type { RequestOptions } from './gateway-connection.ts';
import { GatewayConnectError, GatewayRequestError } from '../../gateway/gateway-errors.ts';
import type { GatewayFloodError } from '../../gateway/gateway-errors.ts';
import type { GatewayEvent } from './gateway-events.ts';
import { challengeEvent, helloOk, MAX_FRAME_BYTES } from './gateway-frames.ts';
import { INFLOW } from './inflow-budget.ts';
import type { InflowLimits } from './inflow-budget.ts';

export type { RequestOptions, SecondAnswer } from './gateway-connection.ts';
export type { GatewayEvent } from './gateway-events.ts';

/** One connection to one gateway process. It is never made anew: when it is gone, connect again. */
export interface GatewayClient {
  /** Names the gateway process: a restarted one has another. */
  readonly bootId: string;
  /** Resolves when the connection is gone, however that came about. Never rejects. */
  readonly closed: Promise<void>;
  /** What it was closed for, if that was a flood; null otherwise. */
  readonly flood: GatewayFloodError | null;
  isOpen(): boolean;
  /** The payload of the (first) answer. Throws GatewayRequestError, and the signal's reason when it is aborted. */
  request(method: string, params: object, options?: RequestOptions): Promise<unknown>;
  /** Every event of the gateway, of all its conversations, from now on. Returns what ends it. A listener must not throw. */
  onEvent(listener: (event: GatewayEvent) => void): () => void;
  close(): void;
  /** Closes it because the gateway sends more than it has reason to: this. The error says the same. */
  endForFlood(what: string): GatewayFloodError;
}

export interface ConnectOptions {
  wsUrl: string;
  token: string;
  /** For a gateway that takes us for a remote peer: without one it lets us do nothing. It is paired at the first meeting. */
  device?: DeviceIdentity | undefined;
  signal: AbortSignal;
  /** For everything until the gateway has let us in; a gateway that is still starting is asked again within it. */
  timeoutMs: number;
  /** How much it may send. */
  inflow?: InflowLimits | undefined;
}

const STARTING_REASON = 'startup-sidecars';
const UNPAIRED = 'NOT_PAIRED';
const STARTING_RETRY_MS = 250;

const SOCKET_OPTIONS: ClientOptions = {
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  // One message per turn of the event loop, so that a caller that awaits an answer can subscribe before the next event is emitted.
  allowSynchronousEvents: false,
};

/**
 * Connects to a gateway as an operator. Throws GatewayConnectError, after timeoutMs at the
 * latest, and the signal's reason when it is aborted.
 */
export async function connectGateway(options: ConnectOptions): Promise<GatewayClient> {
  const { signal, timeoutMs } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const giveUp = AbortSignal.any([signal, deadline]);
  for (;;) {
    try {
      return await connectOnce(options, giveUp);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.aborted)
        throw new GatewayConnectError(`The gateway did not let us in within ${timeoutMs} ms`, { retryable: true });
      if (isUnpaired(error)) {
        await approve(options, error.pairingRequest);
        continue;
      }
      if (!isStarting(error)) throw asConnectError(error);
      await sleep(error.retryAfterMs ?? STARTING_RETRY_MS, undefined, { signal: giveUp }).catch(() => {});
    }
  }
}

function isStarting(error: unknown): error is GatewayRequestError {
  return error instanceof GatewayRequestError && error.retryable && error.reason === STARTING_REASON;
}

function isUnpaired(error: unknown): error is GatewayRequestError & { pairingRequest: string } {
  return error instanceof GatewayRequestError && error.code === UNPAIRED && error.pairingRequest !== undefined;
}

async function approve(options: ConnectOptions, requestId: string): Promise<void> {
  try {
    await approveDevice(options, requestId);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof GatewayConnectError) throw error;
    throw new GatewayConnectError('The gateway could not be asked to pair us', { retryable: true });
  }
}

/** The gateway's refusals of `connect` concern our token or protocol, unless it says that they pass. */
function asConnectError(error: unknown): unknown {
  if (!(error instanceof GatewayRequestError)) return error;
  const { message, retryable, retryAfterMs } = error;
  return new GatewayConnectError(`The gateway refused the connection: ${message}`, { retryable, retryAfterMs });
}

async function connectOnce(options: ConnectOptions, signal: AbortSignal): Promise<GatewayClient> {
  const { wsUrl, token, device, inflow = INFLOW } = options;
  const socket = new WebSocket(wsUrl, SOCKET_OPTIONS);
  const connection = new GatewayConnection(socket, inflow);
  const onAbort = (): void => connection.close();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const nonce = await challenge(socket, connection);
    const params = connectParams(token, device && { device, nonce });
    const hello = helloOk.safeParse(await connection.request('connect', params, { signal })).data;
    if (!hello) throw new GatewayConnectError('The gateway speaks another protocol than ours', { retryable: false });
    connection.expectTicks(hello.policy.tickIntervalMs);
    return clientOf(connection, hello.server.bootId);
  } catch (error) {
    connection.close();
    throw connection.flood ?? error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The gateway speaks first. Its challenge is what a device signs; a loopback client needs none. */
function challenge(socket: WebSocket, connection: GatewayConnection): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, retryable = true) => reject(new GatewayConnectError(message, { retryable }));
    socket.once('unexpected-response', (request, response) => {
      request.destroy();
      const status = response.statusCode ?? 0;
      fail(`The gateway answered the connection with ${status}`, status >= 500);
    });
    socket.once('error', (error) => fail(`The gateway cannot be reached: ${error.message}`));
    void connection.closed.then(() => fail('The gateway closed the connection before it was made'));
    const unsubscribe = connection.onEventFrame((frame) => {
      if (frame.event !== 'connect.challenge') return;
      unsubscribe();
      resolve(challengeEvent.safeParse(frame.payload).data?.nonce ?? '');
    });
  });
}

function connectParams(token: string, challenged: { device: DeviceIdentity; nonce: string } | undefined) {
  const client = { id: 'gateway-client', version: '1.0.0', platform: process.platform, mode: 'backend' };
  const role = 'operator';
  const scopes = ['operator.admin', 'operator.read', 'operator.write', 'operator.approvals'];
  return {
    minProtocol: 4,
    maxProtocol: 4,
    client,
    role,
    scopes,
    caps: ['tool-events'],
    auth: { token },
    ...(challenged && {
      device: deviceProof(challenged.device, { client, role, scopes, token }, challenged.nonce, Date.now()),
    }),
  };
}

function clientOf(connection: GatewayConnection, bootId: string): GatewayClient {
  return {
    bootId,
    closed: connection.closed,
    get flood() {
      return connection.flood;
    },
    isOpen: () => connection.isOpen(),
    request: (method, params, options) => connection.request(method, params, options),
    onEvent: (listener) => connection.onEvent(listener),
    close: () => connection.close(),
    endForFlood: (what) => connection.endForFlood(what),
  };
}
