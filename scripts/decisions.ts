/** A decision with its number, its day and its state: `- **D12** (2026-11-25, accepted) Text`. */
export const DECISION = /^- \*\*D(\d+)\*\* \((\d{4}-\d{2}-\d{2}), (accepted|proposed|rejected|replaced by D\d+)\) \S/;

/** An entry that has no number yet. */
const UNNUMBERED = /^- (?!\*\*D\d+\*\* )/;

/** The text of docs/decisions.md, in which each entry without a number gets the next one, the day that `dayOf` says, and `accepted`. */
export function numberDecisions(text: string, dayOf: (line: string) => string): string {
  let last = Math.max(0, ...text.split('\n').map((line) => Number(DECISION.exec(line)?.[1] ?? 0)));
  const number = (line: string): string => {
    last += 1;
    return line.replace('- ', `- **D${last}** (${dayOf(line)}, accepted) `);
  };
  return text
    .split('\n')
    .map((line) => (UNNUMBERED.test(line) ? number(line) : line))
    .join('\n');
}
