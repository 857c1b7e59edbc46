import type { CronJob, CronRun } from './gateway-jobs.ts';
import type { ToolSign } from './tool-sign.ts';
import type { RefusalReason, TurnResult } from './turn-results.ts';

/** One of the sessions that a gateway keeps: of a conversation, of a job, or of a helper that an agent started. */
export interface GatewaySession {
  /** Names it. What it says only its gateway knows. */
  key: string;
  /** Our conversation that it is; null for every other one. */
  conversationId: string | null;
  /** The agent whose conversation it is, the agent's own main one too; null for a session of a job or of a helper. */
  agentOfConversation: string | null;
  isOfJob: boolean;
  /** What the refusals of its runs are counted for: our conversation, or a job with all its runs. */
  source: string;
}

export interface OfRun {
  runId: string;
  /** Our message whose turn the run is; null for a run that the gateway began unprompted. */
  messageId: string | null;
  session: GatewaySession;
}

/** What a gateway reports without being asked. */
export type GatewayEvent =
  /** It works on the run; comes several times. */
  | (OfRun & { kind: 'begun' })
  /** `text` is all of the answer so far. */
  | (OfRun & { kind: 'said'; text: string })
  | (OfRun & { kind: 'ended'; result: TurnResult })
  /**
   * A tool is called, or has answered. `toolsClosed`: it failed because the gateway has closed its own tools; so do all that
   * follow, until it is restarted.
   */
  | (OfRun & { kind: 'tool'; sign: ToolSign; toolsClosed: boolean })
  /** Anything else about a run. */
  | (OfRun & { kind: 'active' })
  | { kind: 'cron-job'; jobId: string; job: CronJob | null; isRemoved: boolean }
  /** `refusal`: what the gateway refused the run for, where it failed so. */
  | { kind: 'cron-run'; run: CronRun; job: CronJob | null; refusal: RefusalReason | null };
