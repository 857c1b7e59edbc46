/** One sentence for every path without a route, so that routes which are switched off look like any other. */
export const NOTHING_HERE = 'There is nothing at this path. Check it against the reference.';
