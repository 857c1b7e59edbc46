import { EventEmitter } from 'node:events';
import { expect, test } from '@jest/globals';
import { listenForStop } from '../../local/stop-request.ts';

function listening() {
  const signals = new EventEmitter();
  const said: string[] = [];
  let clock = 5_000;
  const request = listenForStop(signals, { say: (sentence) => said.push(sentence), now: () => clock });
  const sendAfter = (ms: number, signal: string) => {
    clock += ms;
    signals.emit(signal);
    return { stop: request.stop.aborted, hurry: request.hurry.aborted };
  };
  return { sendAfter, said };
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s asks for an orderly stop', (signal) => {
  expect(listening().sendAfter(0, signal)).toEqual({ stop: true, hurry: false });
});

test('one Ctrl-C that arrives twice, from the terminal and from npm, is one', () => {
  const { sendAfter, said } = listening();
  sendAfter(0, 'SIGINT');
  expect(sendAfter(40, 'SIGINT')).toEqual({ stop: true, hurry: false });
  expect(said).toHaveLength(1);
});

test('a second Ctrl-C hurries, and says that gateways may stay', () => {
  const { sendAfter, said } = listening();
  sendAfter(0, 'SIGINT');
  expect(sendAfter(2_000, 'SIGINT')).toEqual({ stop: true, hurry: true });
  expect(said.at(-1)).toContain('Gateways may keep running');
});
