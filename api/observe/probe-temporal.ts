import { connect } from 'node:http2';

export type TemporalState = 'up' | 'down' | 'unknown';
export type ProbeTemporal = () => Promise<TemporalState>;

const PATIENCE_MS = 1_000;
const SERVICE = 'temporal.api.workflowservice.v1.WorkflowService';
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
/** grpc.health.v1.HealthCheckResponse { status: SERVING }, after the five bytes of the gRPC frame. */
const SERVING = Buffer.from([0x08, 0x01]);

/** grpc.health.v1.HealthCheckRequest { service } in a gRPC frame. */
function requestFrame(): Buffer {
  const message = Buffer.concat([Buffer.from([0x0a, SERVICE.length]), Buffer.from(SERVICE)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/**
 * Asks Temporal's own health service whether it serves. The API needs nothing else of Temporal, and its client library
 * would double the memory of an idle API. `unknown` where the connection needs TLS or a key, which only the worker uses.
 */
export function createTemporalProbe(address: string, temporalEnv: Record<string, string>): ProbeTemporal {
  const isPlain = !Object.keys(temporalEnv).some((name) => name.startsWith('TEMPORAL_TLS') || name === 'TEMPORAL_API_KEY');
  return () => (isPlain ? check(address) : Promise.resolve('unknown'));
}

function check(address: string): Promise<TemporalState> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const end = (state: TemporalState) => {
      clearTimeout(timer);
      session.destroy();
      resolve(state);
    };
    const timer = setTimeout(() => end('down'), PATIENCE_MS);
    session.on('error', () => end('down'));
    const stream = session.request({
      ':method': 'POST',
      ':path': HEALTH_CHECK,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    stream.on('error', () => end('down'));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => end(Buffer.concat(chunks).subarray(5).equals(SERVING) ? 'up' : 'down'));
    stream.end(requestFrame());
  });
}
