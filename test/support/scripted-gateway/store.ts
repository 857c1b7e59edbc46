import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isErrno } from '../../../lib/errno.ts';

const row = z.looseObject({
  role: z.string(),
  content: z.unknown(),
  idempotencyKey: z.string().optional(),
  stopReason: z.string().optional(),
  errorMessage: z.string().optional(),
  customType: z.string().optional(),
  openclawAbort: z.looseObject({ aborted: z.boolean() }).optional(),
  provenance: z.looseObject({ sourceTool: z.string() }).optional(),
  __openclaw: z.looseObject({ id: z.string(), seq: z.number(), runId: z.string().optional() }),
});

const session = z.object({
  key: z.string(),
  sessionId: z.string(),
  rows: z.array(row),
  status: z.string().optional(),
  lastRunId: z.string().optional(),
  isArchived: z.boolean(),
  updatedAt: z.number(),
  /** What was accepted, and what became of it before it began. */
  inputs: z.array(z.object({ runId: z.string(), state: z.string() })),
});

const cronJob = z.looseObject({
  id: z.string(),
  agentId: z.string(),
  name: z.string(),
  enabled: z.boolean(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  declarationKey: z.string().optional(),
  deleteAfterRun: z.boolean().optional(),
  schedule: z.discriminatedUnion('kind', [
    z.looseObject({ kind: z.literal('cron'), expr: z.string(), tz: z.string().optional() }),
    z.looseObject({ kind: z.literal('every'), everyMs: z.number(), anchorMs: z.number().optional() }),
    z.looseObject({ kind: z.literal('at'), at: z.string() }),
  ]),
  payload: z.looseObject({ kind: z.string(), message: z.string() }),
  state: z.looseObject({ nextRunAtMs: z.number().optional(), runningAtMs: z.number().optional() }),
});

const content = z.object({
  sessions: z.array(session),
  jobs: z.array(cronJob),
  /** The newest first. */
  runs: z.array(z.record(z.string(), z.unknown())),
  secrets: z.array(z.object({ name: z.string(), value: z.string() })),
});

export type Session = z.infer<typeof session>;
/** A row without its place. */
export interface NewRow {
  role: string;
  content: unknown;
  runId?: string;
  idempotencyKey?: string;
  stopReason?: string;
  errorMessage?: string;
  customType?: string;
  toolCallId?: string;
  toolName?: string;
  isError?: boolean;
  openclawAbort?: { aborted: boolean };
  provenance?: { sourceTool: string };
}

export type CronJobRow = z.infer<typeof cronJob>;

/** What a scripted gateway keeps in its state directory: written down whole with every change. */
export class Store {
  readonly data: z.infer<typeof content>;
  readonly #file: string;

  constructor(stateDir: string) {
    this.#file = join(stateDir, 'scripted-store.json');
    this.data = readContent(this.#file);
    for (const { inputs } of this.data.sessions)
      for (const input of inputs) if (input.state === 'queued') input.state = 'interrupted';
    for (const { state } of this.data.jobs) state.runningAtMs = undefined;
  }

  save(): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.data));
    renameSync(`${this.#file}.new`, this.#file);
  }

  find(key: string): Session | undefined {
    return this.data.sessions.find((one) => one.key === key);
  }

  open(key: string): Session {
    const found = this.find(key);
    if (found) return found;
    const made: Session = { key, sessionId: randomUUID(), rows: [], isArchived: false, updatedAt: Date.now(), inputs: [] };
    this.data.sessions.push(made);
    return made;
  }

  /** Adds a row at the end of a conversation. */
  add(of: Session, { runId, ...fields }: NewRow): void {
    const origin = { id: randomUUID(), seq: of.rows.length + 1, recordTimestampMs: Date.now() };
    of.rows.push({ ...fields, __openclaw: { ...origin, ...(runId !== undefined && { runId }) } });
    of.updatedAt = Date.now();
    this.save();
  }

  setInput(of: Session, runId: string, state: string): void {
    of.inputs = [...of.inputs.filter((input) => input.runId !== runId), { runId, state }];
    this.save();
  }
}

function readContent(file: string): z.infer<typeof content> {
  try {
    return content.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { sessions: [], jobs: [], runs: [], secrets: [] };
    throw error;
  }
}

export const said = (text: string) => [{ type: 'text', text }];
