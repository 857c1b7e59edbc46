/** One sentence for every path without a route, so that routes which are switched off look like any other. */
export const NOTHING_HERE = 'No resource exists at this path. Check the path against the API reference.';
