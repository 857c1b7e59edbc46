import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { borrowGateway } from '../../support/gateway-under-test.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import { CASES } from './conformance-cases.ts';
import type { Observe, Subject } from './conformance-cases.ts';
import { CONTENT_CASES } from './conformance-content.ts';
import { observeDrain, observeKill } from './conformance-ends.ts';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';

// What our tests say of a scripted gateway holds for a real one as far as the two show the same to our code.

let real: Subject;
let scripted: Subject;

beforeAll(async () => {
  const [gateway, program] = await Promise.all([borrowGateway(), startScripted()]);
  real = { gateway, client: await gateway.connect(), release: (name) => gateway.model.release(name) };
  scripted = {
    gateway: program.gateway,
    client: await program.gateway.connect(),
    release: (name) => program.control.release(name),
  };
});
afterAll(async () => {
  await Promise.all([real.gateway.close(), scripted.gateway.close()]);
});

async function expectSame(observe: Observe): Promise<void> {
  const [ofScripted, ofReal] = [await observe(scripted), await observe(real)];
  expect(ofScripted).toEqual(ofReal);
}

test.each([...CASES, ...CONTENT_CASES])(
  '%s: the scripted gateway shows what the real one shows',
  async (_, observe) => {
    await expectSame(observe);
  },
  TEST_LIMIT_MS,
);

test(
  'killed: what ran is taken up under its key or goes on by itself, and what waited has spent its key',
  () => expectSame(observeKill),
  TEST_LIMIT_MS,
);

test(
  'told to end: what runs ends, what waits and what comes is refused, and the process ends well',
  () => expectSame(observeDrain),
  TEST_LIMIT_MS,
);
