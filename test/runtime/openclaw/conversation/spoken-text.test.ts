import { expect, test } from '@jest/globals';
import { asPlainText, spokenText } from '../../../../runtime/openclaw/conversation/spoken-text.ts';

test.each([
  ['[Tue 2026-11-24 16:50 UTC] hello', 'hello'],
  ['[Tue 2026-11-24 16:50 UTC] two\n\nlines\n\nRuntime: agent=a | session=agent:a:conv:c | host=vm', 'two\n\nlines'],
  ['[draft] Runtime: agent=a', '[draft] Runtime: agent=a'],
  [
    '[Tue 2026-11-24 16:50 UTC] [Queued user message from a previous active turn; preserved as context only. Continue.]\nnever answered\n\nthe next\n\none',
    'the next\n\none',
  ],
  [
    '[Tue 2026-11-24 16:50 UTC] [Queued user message from a previous active turn; preserved as context only. Continue.]\nnever answered\n\nContinue the current task from the existing transcript, preserving completed work.\n\nRuntime: agent=a',
    'never answered',
  ],
  [
    '[Queued user message from a previous active turn; preserved as context only. Continue.]\ntwo\n\nparagraphs\n\nContinue the current task from the existing transcript, preserving completed work.',
    'two\n\nparagraphs',
  ],
  [
    '[cron:1 daily] do it\n\nThis is an unattended scheduled run. Nobody is present.\n\nRuntime: agent=a | session=agent:a:cron:1',
    '[cron:1 daily] do it',
  ],
  [
    '[Queued user message from a previous active turn; preserved as context only. Continue.]\n[cron:1 daily] do it\n\nThis is an unattended scheduled run. Nobody is present.\n\nContinue the current task from the existing transcript, preserving completed work.',
    '[cron:1 daily] do it',
  ],
  [
    '[Tue 2026-11-24 16:50 UTC] [Queued user message from a previous active turn; preserved as context only. Continue.]\n[System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting.\n\nthe next\n\none',
    'the next\n\none',
  ],
  [
    '[Tue 2026-11-24 16:50 UTC] [Queued user message from a previous active turn; preserved as context only. Continue.]\n[Tue 2026-11-24 16:50 UTC] /new\n\nContinue the current task from the existing transcript, preserving completed work.',
    '/new',
  ],
  [
    '[Tue 2026-11-24 16:50 UTC] [Queued user message from a previous active turn; preserved as context only. Continue.]\nnever answered\n\n[Tue 2026-11-24 16:51 UTC] /new',
    '/new',
  ],
  ['', ''],
])('%j was said as %j', (message, said) => {
  expect(spokenText(message)).toBe(said);
});

test.each([
  '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nnone\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>',
  '[Tue 2026-11-24 16:50 UTC] [System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting.',
  '[System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting.',
  'Continue the current task from the existing transcript, preserving completed work.',
  '[Queued user message from a previous active turn; preserved as context only. Continue.]\n[System] Your previous turn was interrupted by a gateway restart.\n\nContinue the current task from the existing transcript, preserving completed work.',
])('what a gateway adds by itself was said by nobody: %j', (message) => {
  expect(spokenText(message)).toBeNull();
});

test.each(['/new', ' /NEW text', '/reset\ntext', '/skill:weather now', '\n/status'])(
  'what begins with a slash is sent so that no gateway looks for a command in it, and was said as it is: %j',
  (message) => {
    const sent = asPlainText(message, new Date('2026-11-29T08:05:59Z'));
    expect(sent).toBe(`[Sun 2026-11-29 08:05 UTC] ${message}`);
    expect(spokenText(sent)).toBe(message);
  },
);

test.each(['hello', 'a /new text', '', '!ls', '[draft] /new'])('any other message is sent as it is: %j', (message) => {
  expect(asPlainText(message, new Date())).toBe(message);
});

test.each([
  ['lines of the runtime', '\n\nRuntime: agent=a'],
  ['spaces behind one', ' '],
  ['line ends', '\n'],
])('a message of a mebibyte of %s is read in one go', (_, part) => {
  const message = `said\n\nRuntime: agent=a${part.repeat(2 ** 20 / part.length)}\n\nmore`;
  // One look for its end from each place would take minutes, and the test with it.
  expect(spokenText(message)).toBe(message);
});
