import { ThermidoraError } from './errors.ts';
import type { Transport } from './transport.ts';

/** A group of methods: `client.agents`. */
export class Resource {
  protected readonly http: Transport;

  constructor(http: Transport) {
    this.http = http;
  }
}

/**
 * A value as one part of a path. Throws ThermidoraError for what would name another path: an empty one, `.` and `..`, which
 * every URL parser removes with the part before.
 */
export function segment(value: string): string {
  if (/^\.{0,2}$/.test(value)) throw new ThermidoraError(`${JSON.stringify(value)} cannot be an id or a name in a call.`);
  return encodeURIComponent(value);
}

/**
 * A path below another one, for generated methods whose parameter is the path of a file. Throws ThermidoraError for what
 * would lead out of it.
 * @public
 */
export function segments(path: string): string {
  return path.split('/').map(segment).join('/');
}
