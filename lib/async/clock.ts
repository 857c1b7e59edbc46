/** What time it is. Passed in, so that a test decides. */
export type Clock = () => Date;

export const systemClock: Clock = () => new Date();
