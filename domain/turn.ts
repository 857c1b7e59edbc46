/** Where a turn stands. Every one ends, and only once. */
export type TurnStatus = 'pending' | 'completed' | 'failed' | 'cancelled';

/** Why a turn ended without a reply, as `reason` of the error and `data.code` of the event. */
export type TurnFailure =
  | 'model_error'
  | 'turn_timeout'
  | 'cancelled'
  | 'instance_stopped'
  | 'gateway_crashed'
  | 'agent_failed'
  | 'budget_reached'
  | 'no_capacity';

/** Why the model ended a reply. `length`: it had reached its limit of tokens, so the reply may lack its end. */
export type FinishReason = 'stop' | 'length';

/** What a model provider says of an answer, or refuses a prompt for, when its content filter kept it back. */
export const CONTENT_FILTER = 'content_filter';

/** How a turn ends. The message of a failure is written for the customer. */
export type TurnEnd =
  | { status: 'completed'; content: string; finishReason: FinishReason }
  | { status: 'failed'; reason: Exclude<TurnFailure, 'cancelled'>; message: string }
  | { status: 'cancelled'; message: string };

/** The most bytes of UTF-8 of an agent's text that are kept and shown. Longer texts are cut and marked `contentTruncated`. */
export const MAX_CONTENT_BYTES = 1024 ** 2;

/** The same, while the account stores all that it may. */
export const MAX_CONTENT_BYTES_WHEN_FULL = 1024;

/** How many turns of one conversation may wait behind the one that runs. */
export const MAX_WAITING_TURNS = 32;
