/**
 * A file that imports this runs once all others are done (lanes.ts): the containers that it starts get only what the processes
 * of other tests leave, and on a busy machine that is not enough for the start of a gateway.
 */
export {};
