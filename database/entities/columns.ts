import { p } from '@mikro-orm/postgresql';

/** A moment, to the millisecond, which is all that the API shows and a JavaScript date can hold. */
export const moment = () => p.datetime().length(3);

/** A counter that outgrows 32 bits but never 2^53. */
export const counter = () => p.bigint('number');

/** Nano-dollars: exact, beyond 2^53. */
export const nanoUsd = () => p.bigint('bigint');
