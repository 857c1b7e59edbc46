import type { FinishReason } from '../../domain/turn.ts';
import type { GatewayFloodError } from './gateway-errors.ts';
import type { GatewayEvent, GatewaySession } from './gateway-events.ts';
import type { CronChanges, CronJob, CronRun, CronsPage, NewCron, RunsPage, RunText } from './gateway-jobs.ts';
import type { ToolSign } from './tool-sign.ts';
import type { ClosedSession, Recovery, SendOptions, SendResult } from './turn-results.ts';

/**
 * One connection to one process of a gateway, as the rest of the program sees it. It is never made anew: when it is gone,
 * ask the GatewayConnections for another. Calls throw GatewayRequestError when the gateway refuses, is silent or goes
 * away, and the reason of a signal that is aborted.
 */
export interface Gateway {
  /** Names the gateway process: a restarted one has another. */
  readonly bootId: string;
  /** Resolves when the connection is gone, however that came about. Never rejects. */
  readonly closed: Promise<void>;
  /** What it was closed for, if that was a flood; null otherwise. */
  readonly flood: GatewayFloodError | null;
  isOpen(): boolean;
  close(): void;
  /** Hears every event, of all conversations, from now on. Returns what ends it. A listener must not throw. */
  follow(listener: (event: GatewayEvent) => void): () => void;
  readonly turns: GatewayTurns;
  readonly content: GatewayContent;
  readonly files: GatewayFiles;
  readonly secrets: GatewaySecrets;
  readonly jobs: GatewayJobs;
  /**
   * Shows that the gateway takes turns, without a turn. Throws GatewayBrokenError when it would refuse them until it is
   * restarted. What else goes wrong proves nothing against turns.
   */
  prove(signal: AbortSignal): Promise<void>;
}

/** A conversation of an agent, which has the name `gatewayAgentId` inside the gateway. */
export interface ConversationPlace {
  gatewayAgentId: string;
  conversationId: string;
}

/** One attempt at a turn. A gateway carries each out once. */
export interface TurnPlace extends ConversationPlace {
  messageId: string;
  attempt: number;
}

export interface TurnToSend extends TurnPlace {
  text: string;
  saidAtMs: number;
  /** 32 hex digits; the relay finds the turn by it. */
  traceId: string;
}

/** What a gateway has kept of an attempt, which must be the newest turn of its conversation. */
export interface TurnTrace {
  recovery: Recovery;
  /** What the turn did with tools so far, in order, by all of its attempts and the gateway's repetitions. */
  signs: readonly ToolSign[];
  /** The run with which the gateway repeats the turn right now; null when it does not. */
  rerun: string | null;
  /** The gateway holds the turn for unfinished, though its answer may be there: its next process repeats it. */
  isHeldOpen: boolean;
  /** It is going to repeat the turn and has not begun. Sending the turn once more, and aborting it, prevents that. */
  willRerun: boolean;
}

/** What an agent said unprompted: in a run that no message began. */
export interface UnpromptedRun {
  runId: string;
  text: string;
  finishReason: FinishReason;
  /** When its last words were written, by the gateway's clock; null: not known. */
  atMs: number | null;
}

export interface SessionSeen {
  session: GatewaySession;
  /** By the gateway's clock. */
  updatedAtMs: number;
}

export interface GatewayTurns {
  /** The id of the run of an attempt, as events name it. */
  runIdOf(turn: TurnPlace): string;
  /** Hands a turn to the gateway. Whatever that answers, even nothing, is a SendResult. */
  send(turn: TurnToSend, options: SendOptions): Promise<SendResult>;
  /** Stops a turn, or this run that repeats it. False when the gateway has none. */
  abort(turn: TurnPlace, rerun?: string): Promise<boolean>;
  /** Has the gateway take turns of a closed conversation again. What it refuses shows when a turn is sent. */
  reopen(conversation: ConversationPlace, why: ClosedSession, signal: AbortSignal): Promise<void>;
  /** Deletes the session of a conversation whose turns are aborted. A session that does not exist is no error. */
  forget(conversation: ConversationPlace, signal: AbortSignal): Promise<void>;
  /**
   * Starts what reads the conversations of this agent, which the deletion of one has ended, so that the agent's next turn does not
   * wait for it. Leaves nothing behind, and needs no conversation.
   */
  startReader(gatewayAgentId: string, signal: AbortSignal): Promise<void>;
  readBack(turn: TurnPlace, signal: AbortSignal): Promise<TurnTrace>;
  /** The finished runs of a session that no message and no job began, as far as it is kept. */
  readUnprompted(session: GatewaySession, signal: AbortSignal): Promise<UnpromptedRun[]>;
  /** The sessions in which something happened since then, jobs' own and helpers of agents left out. */
  sessionsSince(sinceMs: number): Promise<SessionSeen[]>;
}

export interface SeenSkills {
  bundled: readonly string[];
  custom: readonly string[];
  /** The variables that each skill asks for and does not have, by its name: agents are not shown such a skill. */
  missingEnv: ReadonlyMap<string, readonly string[]>;
}

export interface WantedSkills {
  bundled: readonly string[];
  custom: readonly string[];
  /** The variables that each skill is given, by its name. */
  env: ReadonlyMap<string, readonly string[]>;
}

export interface WantedAgents {
  /** Must answer. */
  present: readonly string[];
  /** Must be gone. */
  absent: readonly string[];
}

/** What a gateway has taken up of its configuration. */
export interface GatewayContent {
  /** The names of its agents. */
  agents(signal: AbortSignal): Promise<string[]>;
  /** Whether the agents may have exactly these skills. `agentId` is any live one: they all have the same. */
  hasSkills(wanted: WantedSkills, agentId: string): Promise<boolean>;
  /** Waits until it has these skills. Throws AgentsNotLiveError after deadlineMs. */
  awaitSkills(wanted: WantedSkills, options: { agentId: string; signal: AbortSignal; deadlineMs: number }): Promise<void>;
}

export interface WorkspaceLimits {
  maxFiles: number;
  maxFileBytes: number;
  maxBytes: number;
}

export interface SeenWorkspace {
  /** Content by path. */
  files: Map<string, string>;
  /** Of the paths that were asked for, those that are not there. */
  gone: string[];
}

/** The files of an agent of whose prompt they are part: a gateway writes them itself. */
export type PersonaFile = 'AGENTS.md' | 'SOUL.md' | 'IDENTITY.md' | 'USER.md' | 'BOOTSTRAP.md' | 'MEMORY.md';

export interface GatewayFiles {
  /** Writes one persona file of a live agent. It counts from the agent's next turn on. */
  set(file: { agentId: string; name: PersonaFile; content: string }): Promise<void>;
  /**
   * What is in the workspace of a live agent now: the files of its prompt, those named, and its notes, up to the limits.
   * What is no text or too large is left out.
   */
  read(of: { agentId: string; paths: readonly string[]; limits: WorkspaceLimits }): Promise<SeenWorkspace>;
}

export interface GatewaySecrets {
  names(): Promise<string[]>;
  /**
   * Makes the gateway hold exactly these, which its agents find in their environment from the next run on. Opens further
   * connections for as many writes as that takes, so it throws GatewayConnectError too. Errors never hold a value.
   */
  sync(wanted: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void>;
}

export interface GatewayJobs {
  /** Adds a job; repeating it is harmless for as long as the job exists. See isRefusedCron. */
  add(job: NewCron): Promise<CronJob>;
  /** Changes a job; null when the gateway has no such job. See isRefusedCron. */
  update(jobId: string, changes: CronChanges): Promise<CronJob | null>;
  /** Removes a job; one that is gone already is no error. */
  remove(jobId: string): Promise<void>;
  /** The same, and waits for up to two minutes while the gateway has had too many such calls. */
  removePatiently(jobId: string, signal: AbortSignal): Promise<void>;
  /** Has a job run now, also one that is switched off. False when the gateway has no such job. */
  run(jobId: string): Promise<boolean>;
  /** Every job in pages, also those that are switched off, and the gateway's own. Throws GatewayFloodError too. */
  pages(): AsyncGenerator<CronsPage, void, undefined>;
  /** What the jobs have done in pages, those that ended last first, also of jobs that are gone. Throws GatewayFloodError too. */
  runPages(): AsyncGenerator<RunsPage, void, undefined>;
  /** The whole text of a run. `heard` is the text of its end event, if this process received it; otherwise the gateway's histories are read. */
  textOf(run: CronRun, heard: string | null): Promise<RunText>;
  /** The reply of an agent to a reminder that it made; null when it did not reply, or the gateway no longer has the reply. */
  replyToReminder(run: CronRun, gatewayAgentId: string): Promise<RunText | null>;
}
