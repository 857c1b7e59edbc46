import { expect, test } from '@jest/globals';
import { RelayError } from '../../relay/relay-error.ts';
import { createCircuit } from '../../relay/routes/circuit.ts';
import type { OpenCircuit } from '../../relay/routes/circuit.ts';

const FAILED = new RelayError(500, 'It failed');

function underTest() {
  let now = 0;
  const changes: (OpenCircuit | null)[] = [];
  const circuit = createCircuit({ monotonicMs: () => now, onChange: (open) => void changes.push(open) });
  return { circuit, changes, wait: (ms: number) => (now += ms) };
}

test('opens at the third failure in a row, and an answer between them begins the count anew', () => {
  const { circuit, changes } = underTest();
  for (const step of ['failed', 'failed', 'answered', 'failed', 'failed'] as const) {
    expect(circuit.admit()).toBe(true);
    if (step === 'failed') circuit.failed(FAILED);
    else circuit.answered();
  }
  expect(changes).toEqual([]);
  circuit.failed(FAILED);
  expect(changes).toEqual([{ reason: 'failing', forMs: 5_000 }]);
  expect(circuit.admit()).toBe(false);
});

test.each([
  ['no answer in time', new RelayError(504, 'Late'), 'slow', 5_000],
  ['a provider that says when to come back', new RelayError(429, 'Wait', { retryAfterSeconds: 20 }), 'limited', 20_000],
  [
    'one that says so for too long: a minute at most',
    new RelayError(529, 'Wait', { retryAfterSeconds: 9_999 }),
    'overloaded',
    60_000,
  ],
])('opens at once for %s', (_, error, reason, forMs) => {
  const { circuit, changes } = underTest();
  circuit.failed(error);
  expect(changes).toEqual([{ reason, forMs }]);
});

test('a refusal of our account opens it only at the third in a row: the words of one request may have caused it', () => {
  const { circuit, changes } = underTest();
  const refused = new RelayError(400, 'No', { isOurFault: true });
  for (const end of [refused, refused]) circuit.failed(end);
  circuit.answered();
  for (const end of [refused, refused]) circuit.failed(end);
  expect(changes).toEqual([]);
  circuit.failed(refused);
  expect(changes).toEqual([{ reason: 'refused', forMs: 5_000 }]);
});

test('lets one call through after its pause; the pause doubles while that one fails, up to a minute, and an answer closes it', () => {
  const { circuit, changes, wait } = underTest();
  for (let count = 0; count < 3; count += 1) circuit.failed(FAILED);
  const pauses = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000];
  for (const [index, pauseMs] of pauses.entries()) {
    wait(pauseMs - 1);
    expect(circuit.admit()).toBe(false);
    wait(1);
    expect([circuit.admit(), circuit.admit()]).toEqual([true, false]);
    if (index < pauses.length - 1) circuit.failed(FAILED);
  }
  expect(changes).toEqual(pauses.map((forMs) => ({ reason: 'failing', forMs })));
  circuit.answered();
  expect([changes.at(-1), circuit.admit(), circuit.admit()]).toEqual([null, true, true]);
});

test('a caller that leaves while its call is the one that is let through leaves room for another one', () => {
  const { circuit, wait } = underTest();
  for (let count = 0; count < 3; count += 1) circuit.failed(FAILED);
  wait(5_000);
  expect([circuit.admit(), circuit.admit()]).toEqual([true, false]);
  circuit.abandoned();
  expect(circuit.admit()).toBe(true);
});
