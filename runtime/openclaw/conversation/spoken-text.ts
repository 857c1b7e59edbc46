/** A gateway adds its own context as a user message in these brackets; no user said it. */
const GATEWAY_CONTEXT = '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>';
/** What a gateway writes in a user's place to have a turn go on: after its own restart, and after a call that failed half way. */
const GO_ON =
  /(?:^|\n\n)(?:\[System\] Your previous turn was interrupted|Continue the current task from the existing transcript)/;
/** Before every message: `[Tue 2026-11-24 16:50 UTC] `. */
const TIME_STAMP = /^\[[A-Z][a-z]{2} \d{4}-\d{2}-\d{2} \d{2}:\d{2}[^\]\n]*\] /;
/** After the prompt of a scheduled job: a paragraph that tells the agent that the run is unattended. */
const UNATTENDED = /\n\nThis is an unattended scheduled run\.[^\n]*/;
/** Before a message that follows one which was never answered, also one of the gateway itself: a line that says so, and then that one. */
const PRESERVED_MARK = /^\[Queued user message from a previous active turn;[^\]\n]*\]\n/;
/** Where one ends and the other begins is not marked: the first paragraph is taken for the one. */
const FIRST_PARAGRAPH = /^(?:[^\n]+\n)+\n/;
/** After the first message of a conversation: `Runtime: agent=... | session=...` in a separate paragraph. */
const RUNTIME_LINE = '\n\nRuntime: agent=';

/**
 * A message as it is sent to a gateway, so that what begins with a slash is text for the agent like any other: a gateway
 * obeys some such messages (`/new` forgets the conversation, `/skill:name` becomes that skill). Behind the time stamp,
 * which it would write before the message anyway, it looks for none.
 */
export function asPlainText(message: string, saidAt: Date): string {
  return message.trimStart().startsWith('/') ? `${timeStampOf(saidAt)}${message}` : message;
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

function timeStampOf(at: Date): string {
  const [date, time] = [at.toISOString().slice(0, 10), at.toISOString().slice(11, 16)];
  return `[${WEEKDAYS[at.getUTCDay()]} ${date} ${time} UTC] `;
}

/** What the user said in a user message as a gateway sends it to a model, without what the gateway adds. Null: the gateway made all of it. */
export function spokenText(userMessage: string): string | null {
  if (userMessage.includes(GATEWAY_CONTEXT)) return null;
  const message = withoutRuntimeLine(userMessage.replace(TIME_STAMP, '')).replace(UNATTENDED, '');
  if (!PRESERVED_MARK.test(message)) return GO_ON.exec(message)?.index === 0 ? null : message;
  // What is preserved is quoted as it was sent, with the time stamp of `asPlainText` where it had one.
  const text = message.replace(PRESERVED_MARK, '').replace(TIME_STAMP, '');
  const goOn = GO_ON.exec(text);
  if (goOn && goOn.index > 0) return text.slice(0, goOn.index);
  const next = text.replace(FIRST_PARAGRAPH, '').replace(TIME_STAMP, '');
  return GO_ON.exec(next)?.index === 0 ? null : next;
}

/** By its last place, because a regular expression would look for its end from each place where it could begin. */
function withoutRuntimeLine(message: string): string {
  const at = message.lastIndexOf(RUNTIME_LINE);
  if (at < 0) return message;
  const isLast = !message
    .slice(at + RUNTIME_LINE.length)
    .trimEnd()
    .includes('\n');
  return isLast ? message.slice(0, at) : message;
}
