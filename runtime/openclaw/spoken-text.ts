/** A gateway adds context of its own as a user message in these brackets; it is nobody's words. */
const GATEWAY_CONTEXT = '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>';
/** What a gateway writes in a user's place to have a turn go on: after its own restart, and after a call that failed half way. */
const GO_ON = /^(?:\[System\] Your previous turn was interrupted|Continue the current task from the existing transcript)/;
/** Before every message: `[Tue 2026-11-24 16:50 UTC] `. */
const TIME_STAMP = /^\[[A-Z][a-z]{2} \d{4}-\d{2}-\d{2} \d{2}:\d{2}[^\]\n]*\] /;
/** Before a message that follows one which was never answered: a line that says so, and the first paragraph of that one. */
const PRESERVED = /^\[Queued user message from a previous active turn;[^\]\n]*\]\n((?:[^\n]+\n)+)\n/;
/** After the first message of a conversation: `Runtime: agent=... | session=...` in a paragraph of its own. */
const RUNTIME_LINE = /\n\nRuntime: agent=[^\n]*\s*$/;

/** What was said in a user message as a gateway sends it to a model, without what it adds. Null: nobody said it. */
export function spokenText(userMessage: string): string | null {
  if (userMessage.includes(GATEWAY_CONTEXT)) return null;
  const message = userMessage.replace(TIME_STAMP, '').replace(RUNTIME_LINE, '');
  const preserved = PRESERVED.exec(message);
  const prompt = message.slice(preserved?.[0].length ?? 0);
  return GO_ON.test(prompt) ? (preserved?.[1]?.trimEnd() ?? null) : prompt;
}
