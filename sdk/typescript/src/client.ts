import { AllResources } from './generated/resources.ts';
import { Events, Instances, Messages } from './resources.ts';
import { Transport } from './transport.ts';
import type { ClientOptions } from './types.ts';

/**
 * A client of the API. Its methods have the names of the reference's operations: `client.instances.create`. Each takes the ids
 * of its path, then the body, then the query parameters, then options, and answers what the API answers. Failed attempts are
 * repeated with growing pauses or when the API asks for it (`Retry-After`); what changes something carries an
 * `Idempotency-Key`, so that it is done once. Throws ApiError and its kinds for refusals, ApiConnectionError without an answer.
 */
export class Thermidora extends AllResources {
  override readonly instances: Instances;
  override readonly messages: Messages;
  override readonly events: Events;

  constructor(options: ClientOptions) {
    const http = new Transport(options);
    super(http);
    this.instances = new Instances(http);
    this.messages = new Messages(http);
    this.events = new Events(http);
  }
}
