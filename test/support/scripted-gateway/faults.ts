import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isErrno } from '../../../lib/errno.ts';

const refusal = {
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
  retryable: z.boolean().optional(),
};

const deed = z.discriminatedUnion('kind', [
  /** Turns are refused by the first answer, or accepted and refused by the second one, jobs' runs too. */
  z.object({ kind: z.literal('refuse'), answer: z.enum(['first', 'second']), ...refusal }),
  /** Turns are accepted and not begun. */
  z.object({ kind: z.literal('never-begin') }),
  /** Turns begin and say nothing more. */
  z.object({ kind: z.literal('hang') }),
  /** Turns begin and fail with this text. */
  z.object({ kind: z.literal('fail'), message: z.string() }),
  /** Turns call a tool first, which answers this. */
  z.object({ kind: z.literal('tool-fails'), text: z.string() }),
  /** Turns say very much at once before they answer. */
  z.object({ kind: z.literal('flood'), frames: z.number().int(), bytes: z.number().int() }),
  /** Turns begin with so many calls of a tool that answers so many bytes. */
  z.object({ kind: z.literal('tool-flood'), calls: z.number().int(), bytes: z.number().int() }),
  /** The process ends when a turn begins, or when its answer is stored and its end is not noted yet. */
  z.object({ kind: z.literal('die'), at: z.enum(['beginning', 'end']) }),
  /** Every call of this method is refused. */
  z.object({ kind: z.literal('refuse-call'), method: z.string(), ...refusal }),
  /** Nothing is answered and nothing is said. */
  z.object({ kind: z.literal('silent') }),
  /** /readyz answers 503 with these. */
  z.object({ kind: z.literal('unready'), failing: z.array(z.string()) }),
  /** It listens only so long after its start. */
  z.object({ kind: z.literal('start-late'), afterMs: z.number().int() }),
  /** Sends a frame of so many bytes to everybody, twice a second: one long text, or very many empty lists. */
  z.object({ kind: z.literal('bomb'), of: z.enum(['text', 'lists']), bytes: z.number().int() }),
  /** Says so many times a second that runs have ended and that jobs have changed, each time under another id. */
  z.object({ kind: z.literal('pour'), perSecond: z.number().int() }),
  /** This list has no last page, or its page leads back to itself. */
  z.object({
    kind: z.literal('pages'),
    method: z.enum(['cron.list', 'cron.runs', 'sessions.list']),
    how: z.enum(['endless', 'stuck']),
  }),
  /** Turns are answered with this text, so many times over. */
  z.object({ kind: z.literal('say'), text: z.string(), times: z.number().int() }),
  /** /readyz sends to this address, or answers without an end. */
  z.object({ kind: z.literal('redirect'), to: z.string() }),
  z.object({ kind: z.literal('endless-body') }),
  /** All connections are closed. */
  z.object({ kind: z.literal('hang-up') }),
  /** A configuration that is written while it runs is not taken up. */
  z.object({ kind: z.literal('ignore-config') }),
]);

export const fault = z.object({
  id: z.string(),
  deed,
  /** How often; absent: every time. */
  times: z.number().int().optional(),
  /** Only what concerns this agent, or this conversation. */
  agentId: z.string().optional(),
  sessionKey: z.string().optional(),
  /** Whether the next process does it as well. */
  survivesRestart: z.boolean(),
});

export type Fault = z.infer<typeof fault>;
export type Deed = Fault['deed'];
type DeedOf<Kind extends Deed['kind']> = Extract<Deed, { kind: Kind }>;

/** What a scripted gateway is told: by a file in its state directory, which it reads whenever it has to know. */
export const orders = z.object({
  faults: z.array(fault),
  /** The names of held answers that may go on. */
  released: z.array(z.string()),
});

export type Orders = z.infer<typeof orders>;

/** One thing that a scripted gateway did, in the order in which it did them. */
export const happening = z.object({
  bootId: z.string(),
  what: z.enum(['started', 'began', 'answered', 'misbehaved']),
  /** The key of the turn. */
  runId: z.string().optional(),
  sessionKey: z.string().optional(),
  faultId: z.string().optional(),
});

export type Happening = z.infer<typeof happening>;

export function ordersFile(stateDir: string): string {
  return join(stateDir, 'scripted-orders.json');
}

export function journalFile(stateDir: string): string {
  return join(stateDir, 'scripted-journal.jsonl');
}

/** The orders that were written down; none when none were. */
export function readOrders(stateDir: string): Orders {
  const text = textOf(ordersFile(stateDir));
  return text === null ? { faults: [], released: [] } : orders.parse(JSON.parse(text));
}

/** Everything that gateways of this state directory did, the oldest first. */
export function readJournal(stateDir: string): Happening[] {
  const text = textOf(journalFile(stateDir)) ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => happening.parse(JSON.parse(line)));
}

interface Concerned {
  agentId?: string | undefined;
  sessionKey?: string | undefined;
}

/** What one gateway process is to do wrong, and what it did. */
export class Faults {
  readonly bootId: string;
  readonly #stateDir: string;
  /** Those of an earlier process that ended with it. */
  readonly #over: Set<string>;
  readonly #used = new Map<string, number>();
  /** Of the file as it was read last. They are asked for with every frame and many times a second. */
  #orders: { version: string; orders: Orders } | null = null;

  constructor(stateDir: string, bootId: string) {
    this.bootId = bootId;
    this.#stateDir = stateDir;
    const before = readJournal(stateDir);
    // An order that was given before the first process is for that one.
    const isFirst = before.length === 0;
    const found = isFirst ? [] : readOrders(stateDir).faults.filter(({ survivesRestart }) => !survivesRestart);
    this.#over = new Set(found.map(({ id }) => id));
    for (const { faultId } of before) if (faultId !== undefined) this.#count(faultId);
    this.note({ what: 'started' });
  }

  note(what: Omit<Happening, 'bootId'>): void {
    appendFileSync(journalFile(this.#stateDir), `${JSON.stringify({ bootId: this.bootId, ...what })}\n`);
  }

  isReleased(name: string): boolean {
    return this.#read().released.includes(name);
  }

  /** Whether this is done wrong at the moment. */
  find<Kind extends Deed['kind']>(kind: Kind, concerned: Concerned = {}): DeedOf<Kind> | null {
    return this.#findFault(kind, concerned)?.deed ?? null;
  }

  /** What is done wrong now; it counts as done. */
  take<Kind extends Deed['kind']>(kind: Kind, concerned: Concerned & { runId?: string } = {}): DeedOf<Kind> | null {
    const found = this.#findFault(kind, concerned);
    if (!found) return null;
    this.#count(found.id);
    this.note({ what: 'misbehaved', faultId: found.id, runId: concerned.runId, sessionKey: concerned.sessionKey });
    return found.deed;
  }

  #read(): Orders {
    const found = statSync(ordersFile(this.#stateDir), { throwIfNoEntry: false, bigint: true });
    // Each change is a new file.
    const version = found ? `${found.ino} ${found.size} ${found.mtimeNs}` : '';
    if (this.#orders?.version !== version) this.#orders = { version, orders: readOrders(this.#stateDir) };
    return this.#orders.orders;
  }

  #count(faultId: string): void {
    this.#used.set(faultId, (this.#used.get(faultId) ?? 0) + 1);
  }

  #findFault<Kind extends Deed['kind']>(kind: Kind, { agentId, sessionKey }: Concerned) {
    for (const one of this.#read().faults) {
      if (this.#over.has(one.id) || (one.times !== undefined && (this.#used.get(one.id) ?? 0) >= one.times)) continue;
      if (one.agentId !== undefined && one.agentId !== agentId) continue;
      if (one.sessionKey !== undefined && one.sessionKey !== sessionKey) continue;
      if (isOf(one.deed, kind)) return { id: one.id, deed: one.deed };
    }
    return null;
  }
}

function isOf<Kind extends Deed['kind']>(one: Deed, kind: Kind): one is DeedOf<Kind> {
  return one.kind === kind;
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
