import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { scriptOf } from '../fake-model-script.ts';
import type { Script } from '../fake-model-script.ts';
import type { Faults } from './faults.ts';
import { said } from './store.ts';
import type { Session, Store } from './store.ts';
import { Refusal } from './wire.ts';
import type { Answer, Peers, WireError } from './wire.ts';

export interface Run {
  runId: string;
  agentId: string;
  sessionKey: string;
  message: string;
  /** What is answered, where that is not the message. */
  prompt?: string;
  /** Of a job, or the gateway's own repetition of an interrupted turn: nobody waits for its second answer. */
  provenance?: { sourceTool: string; kind: string };
  /** Gets the second answer. */
  onEnd(answer: Answer): void;
}

interface ToolCall {
  name: string;
  args: unknown;
  /** What it answers. */
  text: string;
  isError: boolean;
}

interface AtWork extends Run {
  /** All that it said, and how much of that before its last tool call. */
  text: string;
  beforeTool: number;
  abort: AbortController;
}

const RUNS_AT_ONCE = 8;
const HOLD_POLL_MS = 20;
const STEP_MS = 20;

/** How turns run: one after the other in a conversation, eight conversations at once. */
export class Runs {
  readonly #store: Store;
  readonly #peers: Peers;
  readonly #faults: Faults;
  readonly #waiting: Run[] = [];
  readonly #atWork = new Map<string, AtWork>();
  isDraining = false;

  constructor(store: Store, peers: Peers, faults: Faults) {
    this.#store = store;
    this.#peers = peers;
    this.#faults = faults;
  }

  /** Takes a turn that was accepted. */
  add(run: Run): void {
    this.#store.setInput(this.#store.open(run.sessionKey), run.runId, 'queued');
    this.#waiting.push(run);
    setImmediate(() => this.#next());
  }

  inFlight(sessionKey: string): { runId: string; text: string } | undefined {
    const found = [...this.#atWork.values()].find((run) => run.sessionKey === sessionKey);
    return found && { runId: found.runId, text: found.text };
  }

  isIdle(): boolean {
    return this.#atWork.size === 0;
  }

  /** Stops a running or waiting turn. */
  abort(sessionKey: string, runId: string): boolean {
    const running = this.#atWork.get(runId);
    if (running?.sessionKey === sessionKey) {
      running.abort.abort();
      return true;
    }
    const index = this.#waiting.findIndex((run) => run.runId === runId && run.sessionKey === sessionKey);
    const [waiting] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (!waiting) return false;
    this.#store.setInput(this.#store.open(sessionKey), runId, 'cancelled');
    waiting.onEnd(aborted(runId));
    return true;
  }

  /** From now on what waits is refused; resolves when nothing runs any more. */
  async drain(): Promise<void> {
    this.isDraining = true;
    while (!this.isIdle()) await sleep(STEP_MS);
    for (const run of this.#waiting.splice(0)) {
      const error = { code: 'UNAVAILABLE', message: 'Gateway is draining; new tasks are not accepted' };
      await this.#refuse(run, error);
    }
  }

  #next(): void {
    for (const run of [...this.#waiting]) {
      if (this.isDraining || this.#atWork.size >= RUNS_AT_ONCE) return;
      if (this.inFlight(run.sessionKey) || this.#faults.find('never-begin', run)) continue;
      this.#waiting.splice(this.#waiting.indexOf(run), 1);
      const atWork: AtWork = { ...run, text: '', beforeTool: 0, abort: new AbortController() };
      this.#atWork.set(run.runId, atWork);
      void this.#play(atWork).finally(() => {
        this.#atWork.delete(run.runId);
        setImmediate(() => this.#next());
      });
    }
  }

  /** A gateway that was refused by what keeps its data ends the turn before it began. */
  async #refuse(run: Run, error: WireError): Promise<void> {
    const { runId, sessionKey } = run;
    const session = this.#store.open(sessionKey);
    this.#store.setInput(session, runId, 'interrupted');
    const text = `This turn ended before a reply: ${error.message}`;
    this.#store.add(session, { role: 'custom', customType: 'run-failed-before-reply', content: text, runId });
    this.#chat(run, { state: 'error', errorMessage: error.message });
    // Its second answer comes apart from the event.
    await sleep(STEP_MS);
    run.onEnd({ ok: false, payload: { runId, status: 'error', summary: error.message }, error });
  }

  async #play(run: AtWork): Promise<void> {
    const refusal = this.#faults.take('refuse', run);
    if (refusal) return this.#refuse(run, errorOf(refusal));
    const session = this.#begin(run);
    this.#dieAt('beginning', run);
    const failure = this.#faults.take('fail', run);
    if (failure) return this.#fail(run, session, failure.message, null);
    if (this.#faults.take('hang', run)) await this.#until(run, () => false);
    const flood = this.#faults.take('flood', run);
    if (flood) this.#flood(run, flood);
    const calls = this.#faults.take('tool-flood', run);
    for (let call = 0; call < (calls?.calls ?? 0); call += 1)
      this.#callTool(run, session, { name: 'exec', args: { call }, text: 'x'.repeat(calls?.bytes ?? 0), isError: false });
    const toolResults: string[] = [];
    const broken = this.#faults.take('tool-fails', run);
    if (broken) this.#callTool(run, session, { name: 'exec', args: {}, text: broken.text, isError: true });
    for (;;) {
      const prompt = { system: '', lastUserText: run.prompt ?? run.message, toolResults };
      const script = scriptOf({ model: 'scripted', messages: [] }, prompt, (text) => `You said: ${text}`);
      if (script.kind === 'fail') return this.#failAtModel(run, session, script.status);
      const ordered = this.#faults.take('say', run);
      if (ordered)
        return this.#answer(run, session, {
          kind: 'text',
          words: [ordered.text.repeat(ordered.times)],
          delayMs: 0,
          hold: null,
          breaks: false,
          finishReason: 'stop',
        });
      if (script.kind === 'text') return this.#answer(run, session, script);
      if (script.says.length > 0) await this.#say(run, script.says, 0);
      const { name, argumentsJson } = script;
      const call = { name, args: JSON.parse(argumentsJson) as unknown, text: toolOutput(argumentsJson), isError: false };
      toolResults.push(this.#callTool(run, session, call));
      const pause = toolHold(argumentsJson);
      if (pause !== null) await this.#until(run, () => this.#faults.isReleased(pause));
    }
  }

  #begin(run: AtWork): Session {
    const { runId, sessionKey, message, provenance } = run;
    const session = this.#store.open(sessionKey);
    session.inputs = session.inputs.filter((input) => input.runId !== runId);
    session.status = 'running';
    const isKnown = session.rows.some(({ idempotencyKey }) => idempotencyKey === `${runId}:user`);
    if (!isKnown) {
      const fields = { role: 'user', content: message, idempotencyKey: `${runId}:user` };
      this.#store.add(session, { ...fields, ...(provenance && { provenance }) });
    } else this.#store.save();
    this.#faults.note({ what: 'began', runId, sessionKey });
    this.#agent(run, 'lifecycle', { phase: 'start', startedAt: Date.now() });
    this.#agent(run, 'lifecycle', { phase: 'model', provider: `relay-${run.agentId}`, model: 'fake-model' });
    return session;
  }

  #dieAt(moment: 'beginning' | 'end', run: AtWork): void {
    if (this.#faults.find('die', run)?.at === moment && this.#faults.take('die', run)) process.kill(process.pid, 'SIGKILL');
  }

  #flood(run: AtWork, { frames, bytes }: { frames: number; bytes: number }): void {
    const noise = 'x'.repeat(bytes);
    for (let frame = 0; frame < frames; frame += 1) this.#agent(run, 'assistant', { text: '', delta: '', noise });
  }

  async #answer(run: AtWork, session: Session, script: Extract<Script, { kind: 'text' }>): Promise<void> {
    const { words, delayMs, hold } = script;
    const before = hold ? words.slice(0, hold.afterWords) : words;
    await this.#say(run, before, delayMs);
    if (hold) {
      await this.#until(run, () => this.#faults.isReleased(hold.name));
      await this.#say(run, words.slice(hold.afterWords), delayMs);
    }
    if (run.abort.signal.aborted) return this.#cancel(run, session);
    const { runId, text } = run;
    // Only what was said since the last tool call.
    const last = text.slice(run.beforeTool);
    this.#store.add(session, { role: 'assistant', content: said(last), stopReason: 'stop', runId });
    this.#agent(run, 'lifecycle', { phase: 'finishing' });
    this.#dieAt('end', run);
    this.#end(session, runId, 'done');
    this.#agent(run, 'lifecycle', { phase: 'end', endedAt: Date.now() });
    this.#faults.note({ what: 'answered', runId, sessionKey: run.sessionKey });
    this.#chat(run, { state: 'final', stopReason: 'stop', message: { role: 'assistant', content: said(text) } });
    run.onEnd({ ok: true, payload: { runId, status: 'ok', summary: 'completed', result: { payloads: [{ text: last }] } } });
  }

  async #say(run: AtWork, words: readonly string[], delayMs: number): Promise<void> {
    for (const [index, word] of words.entries()) {
      if (index > 0 && delayMs > 0) await sleep(delayMs);
      if (run.abort.signal.aborted) return;
      run.text += word;
      this.#agent(run, 'assistant', { text: run.text, delta: word });
      this.#chat(run, { state: 'delta', deltaText: word, message: { role: 'assistant', content: said(run.text) } });
    }
  }

  /** Until this holds or the run is aborted; an answer that is held goes on when its name is released. */
  async #until(run: AtWork, holds: () => boolean): Promise<void> {
    while (!holds() && !run.abort.signal.aborted) await sleep(HOLD_POLL_MS);
  }

  #callTool(run: AtWork, session: Session, { name, args, text, isError }: ToolCall): string {
    const toolCallId = `call_${randomUUID()}`;
    const spoken = run.text.slice(run.beforeTool);
    if (spoken !== '') this.#store.add(session, { role: 'assistant', content: said(spoken), runId: run.runId });
    const content = [{ type: 'toolCall', id: toolCallId, name, arguments: args }];
    this.#store.add(session, { role: 'assistant', content, stopReason: 'toolUse', runId: run.runId });
    this.#agent(run, 'tool', { phase: 'start', name, toolCallId, args });
    const result = { content: said(text), ...(isError && { details: { status: 'error' } }) };
    this.#agent(run, 'tool', { phase: 'result', name, toolCallId, isError, result });
    this.#store.add(session, { role: 'toolResult', toolCallId, toolName: name, isError, content: said(text), runId: run.runId });
    if (spoken !== '') run.text += '\n\n';
    run.beforeTool = run.text.length;
    return text;
  }

  #failAtModel(run: AtWork, session: Session, status: number): void {
    const message = `LLM request failed: provider rejected the request (HTTP ${status}).`;
    const detail = { provider: `relay-${run.agentId}`, model: 'fake-model', failoverReason: 'format', httpStatus: status };
    this.#fail(run, session, message, detail);
  }

  #fail(run: AtWork, session: Session, message: string, errorDetail: Record<string, unknown> | null): void {
    const { runId } = run;
    const fields = { content: said(message), stopReason: 'error', errorMessage: message };
    this.#store.add(session, { role: 'assistant', ...fields, idempotencyKey: `${runId}:terminal-error`, runId });
    this.#end(session, runId, 'failed');
    this.#agent(run, 'lifecycle', { phase: 'error', error: message });
    this.#chat(run, { state: 'error', errorMessage: message, ...(errorDetail && { errorDetail }) });
    const payload = { runId, status: 'error', summary: message };
    run.onEnd({ ok: false, payload, error: { code: 'UNAVAILABLE', message, ...(errorDetail && { details: errorDetail }) } });
  }

  #cancel(run: AtWork, session: Session): void {
    const { runId, text } = run;
    const fields = { content: said(text), stopReason: 'stop', openclawAbort: { aborted: true } };
    this.#store.add(session, { role: 'assistant', ...fields, idempotencyKey: `${runId}:assistant`, runId });
    // What waited behind it and was aborted first counts as the later one.
    this.#end(session, session.inputs.findLast(({ state }) => state === 'cancelled')?.runId ?? runId, 'killed');
    this.#chat(run, { state: 'aborted', stopReason: 'rpc', message: { role: 'assistant', content: said(text) } });
    run.onEnd(aborted(runId));
  }

  #end(session: Session, runId: string, status: string): void {
    Object.assign(session, { status, lastRunId: runId });
    this.#store.save();
  }

  #agent({ runId, sessionKey, agentId }: Run, stream: string, data: object): void {
    this.#peers.emit('agent', { runId, sessionKey, agentId, stream, data, ts: Date.now() });
  }

  #chat({ runId, sessionKey, agentId }: Run, fields: object): void {
    this.#peers.emit('chat', { runId, sessionKey, agentId, ...fields });
  }
}

/** What the scripted tool answers: what a command of the form `echo words` would print. */
function toolOutput(argumentsJson: string): string {
  return /"echo ([^"]*)"/.exec(argumentsJson)?.[1] ?? '';
}

/** The name under which the run waits after a call with the argument `wait: "<name>"`. */
function toolHold(argumentsJson: string): string | null {
  return /"wait": ?"([^"]*)"/.exec(argumentsJson)?.[1] ?? null;
}

function aborted(runId: string): Answer {
  return { ok: true, payload: { runId, status: 'timeout', summary: 'aborted', stopReason: 'rpc' } };
}

/** The error of a refusal that was ordered. */
export function errorOf({ code, message, details, retryable }: WireError): WireError {
  return { code, message, ...(details && { details }), ...(retryable !== undefined && { retryable }) };
}

export function draining(): Refusal {
  const message = 'agent unavailable during gateway restart';
  const details = { reason: 'gateway-restarting' };
  return new Refusal({ code: 'UNAVAILABLE', message, details, retryable: true, retryAfterMs: 1_000 });
}
