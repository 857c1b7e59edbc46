/** Jest strips the types itself: no transform. Servers start when a test asks for one, once per run. */
export default {
  rootDir: '.',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {},
  testEnvironment: 'node',
  testTimeout: 30_000,
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  reporters: ['default', '<rootDir>/test/support/totals-reporter.ts'],
  // One file after the other: a gateway takes a whole core and half a gigabyte while it starts. Each in a new process
  // (any Node is over this limit): Temporal's native library keeps its runtime for as long as the process lives.
  maxWorkers: 1,
  workerIdleMemoryLimit: '32MB',
};
