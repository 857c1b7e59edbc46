import { p } from '@mikro-orm/postgresql';

/** A point in time, in milliseconds, which is the precision of the API and of a JavaScript date. */
export const moment = () => p.datetime().length(3);

/** A counter that outgrows 32 bits but never 2^53. */
export const counter = () => p.bigint('number');

/** Nano-dollars: exact, beyond 2^53. */
export const nanoUsd = () => p.bigint('bigint');
