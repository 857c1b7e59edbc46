import type { GatewaySession } from './gateway-events.ts';

/** When a job runs. Null stands for a kind that only agents make: when a command ends, when it prints a line. */
export type CronSchedule =
  | { kind: 'cron'; expr: string; timeZone: string | null }
  | { kind: 'every'; everyMs: number }
  | { kind: 'at'; at: string };

/** A job of a gateway's own scheduler. */
export interface CronJob {
  id: string;
  /** The agent's name inside the gateway. */
  agentId: string | null;
  name: string;
  message: string;
  enabled: boolean;
  schedule: CronSchedule | null;
  nextRunAt: Date | null;
  /** When the run began that is under way; null: none is. */
  runningSince: Date | null;
  /** The conversation that the gateway adds its results to; null for all but jobs that an agent made in one. */
  conversationId: string | null;
  /** Of its definition and of what it did, by the gateway's clock. */
  updatedAt: Date;
  /** The id under which the API made it; null for a job that an agent made. */
  cronId: string | null;
  /** A maintenance job of the gateway itself, which is neither shown nor changed. */
  isInternal: boolean;
}

/** One run of a job, when it is over. */
export interface CronRun {
  jobId: string;
  /** The gateway forgets the name of a job that is gone. */
  jobName: string | null;
  status: 'ok' | 'error' | 'skipped';
  /** The agent's name inside the gateway, where it is known. */
  agentId: string | null;
  /** What the agent said, cut at 2,000 characters. */
  summary: string;
  /** What the gateway says went wrong. Not for customers. */
  error: string | null;
  /** Why the model provider refused, in the gateway's terms. */
  errorReason: string | null;
  /** The gateway has added what it said to the job's conversation, if it has one. */
  isDelivered: boolean;
  /** In which it ran; null for a reminder, which comes up in the main conversation of its agent. */
  session: GatewaySession | null;
  sessionId: string | null;
  runAtMs: number;
  endedAtMs: number;
}

export interface NewCron {
  /** Ours: the same id is added once, however often it is asked for. */
  cronId: string;
  /** The agent's name inside the gateway. */
  agentId: string;
  name: string;
  schedule: CronSchedule;
  message: string;
  enabled: boolean;
}

export interface CronChanges {
  name?: string | undefined;
  schedule?: CronSchedule | undefined;
  message?: string | undefined;
  enabled?: boolean | undefined;
}

export interface CronsPage {
  jobs: CronJob[];
  nextOffset: number | null;
}

export interface RunsPage {
  /** Those that ended last come first. */
  runs: CronRun[];
  nextOffset: number | null;
}

/** What a run said, and whether that is only the beginning of it. */
export interface RunText {
  text: string;
  isTruncated: boolean;
}
