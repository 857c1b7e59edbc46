import { afterAll, beforeAll } from '@jest/globals';
import { accountTests } from './console/account-tests.ts';
import { agentTests } from './console/agent-tests.ts';
import { chatTests } from './console/chat-tests.ts';
import { startConsole } from './console/console-under-test.ts';
import type { ConsoleUnderTest } from './console/console-under-test.ts';
import { operatorTests } from './console/operator-tests.ts';
import { pageTests } from './console/page-tests.ts';
import { sessionTests } from './console/session-tests.ts';

/** One stack, one gateway and one browser for all: the tests run in this order, and later ones use what earlier ones have made. */
let console: ConsoleUnderTest;

beforeAll(async () => {
  console = await startConsole();
});

afterAll(async () => {
  await console?.close();
});

const current = (): ConsoleUnderTest => console;
chatTests(current);
agentTests(current);
accountTests(current);
operatorTests(current);
pageTests(current);
sessionTests(current);
