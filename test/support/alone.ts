/**
 * The time limit of a test in a file that runs once all others are done, in milliseconds. A file that imports this does
 * (lanes.ts): the containers that it starts get only what the processes of other tests leave, and on a busy machine that is not
 * enough for the start of a gateway. It is long because images may have to be built first.
 */
export const ALONE_TEST_MS = 30 * 60_000;
