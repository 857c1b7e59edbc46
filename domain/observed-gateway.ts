/** What a driver knows of a gateway process: that it is alive, or since when it is not. */
export type ObservedGateway = { isAlive: true } | { isAlive: false; diedAt: Date };
