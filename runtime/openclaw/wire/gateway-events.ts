import { z } from 'zod';
import { gatewayId } from './bounded-text.ts';
import { parseCronEvent } from '../content/cron-frames.ts';
import type { CronEvent } from '../content/cron-frames.ts';
import type { EventFrame } from './gateway-frames.ts';
import { messageContent, textOfContent } from '../conversation/message-text.ts';
import { toolData, toolEvent } from './tool-events.ts';
import type { ToolEvent } from './tool-events.ts';

/** What a gateway reports about runs without being asked. A run's id is the key of a turn that we sent, or one that the gateway chose. */
export type GatewayEvent =
  | CronEvent
  /** Comes several times per run. */
  | (OfRun & { kind: 'run-started' })
  /** `text` is all of the answer so far. Deltas may be skipped, so trust it, and not the sum of the `delta`s. */
  | (OfRun & { kind: 'delta'; text: string; delta: string })
  | (OfRun & { kind: 'final'; text: string; stopReason: string | null })
  | (OfRun & {
      kind: 'error';
      message: string;
      failure: ProviderFailure | null;
      errorKind: string | null;
      stopReason: string | null;
    })
  | (OfRun & { kind: 'aborted'; text: string; stopReason: string | null })
  /** Paths and URLs that the agent names as attachments of what it says, again and again as it says more. */
  | (OfRun & { kind: 'media'; urls: readonly string[] })
  | (OfRun & ToolEvent)
  /** Anything else about a run, such as a phase. */
  | (OfRun & { kind: 'other'; stream: string; phase: string | null })
  | { kind: 'session-message'; sessionKey: string; message: SessionMessage }
  /** The gateway ends. `restartExpectedMs` is null when it will not restart itself. */
  | { kind: 'shutdown'; reason: string; restartExpectedMs: number | null };

export interface OfRun {
  runId: string;
  sessionKey: string;
}

/** A row that was added to a conversation. Only for those who called sessions.subscribe. */
export interface SessionMessage {
  role: string;
  text: string;
  id: string | null;
  runId: string | null;
  seq: number | null;
}

/** What the gateway knows about a failure at the model provider. */
export interface ProviderFailure {
  provider: string | null;
  model: string | null;
  failoverReason: string | null;
  httpStatus: number | null;
}

const ofRun = { runId: gatewayId, sessionKey: gatewayId };
const text = z.string().nullish().catch(null);
const message = z.looseObject({ content: messageContent.nullish() }).nullish().catch(null);

const agentEvent = z.looseObject({
  ...ofRun,
  stream: z.string(),
  data: z
    .looseObject({
      phase: text,
      mediaUrls: z.array(z.string()).nullish().catch(null),
    })
    .nullish()
    .catch(null),
});

const chatBase = { ...ofRun, message, stopReason: text };
const chatEvent = z.discriminatedUnion('state', [
  z.looseObject({ ...chatBase, state: z.literal('delta'), deltaText: z.string() }),
  z.looseObject({ ...chatBase, state: z.literal('final') }),
  z.looseObject({ ...chatBase, state: z.literal('aborted') }),
  z.looseObject({
    ...chatBase,
    state: z.literal('error'),
    errorMessage: text,
    errorKind: text,
    errorDetail: z
      .looseObject({ provider: text, model: text, failoverReason: text, httpStatus: z.number().nullish().catch(null) })
      .nullish()
      .catch(null),
  }),
]);

const sessionMessageEvent = z.looseObject({
  sessionKey: gatewayId,
  message: z.looseObject({
    role: z.string(),
    content: messageContent.nullish().catch(null),
    __openclaw: z
      .looseObject({ id: text, runId: text, seq: z.number().nullish().catch(null) })
      .nullish()
      .catch(null),
  }),
});

const shutdownEvent = z.looseObject({
  reason: z.string().catch(''),
  restartExpectedMs: z.number().nullish().catch(null),
});

/** The event in a frame, or null for one that we have no use for. */
export function parseEvent({ event, payload }: EventFrame): GatewayEvent | null {
  switch (event) {
    case 'chat':
      return fromChat(payload);
    case 'agent':
      return fromAgent(payload);
    case 'session.message':
      return fromSessionMessage(payload);
    case 'shutdown':
      return fromShutdown(payload);
    case 'cron':
      return parseCronEvent(payload);
    default:
      return null;
  }
}

function fromChat(payload: unknown): GatewayEvent | null {
  const chat = chatEvent.safeParse(payload).data;
  if (!chat) return null;
  const { runId, sessionKey } = chat;
  const said = textOfContent(chat.message?.content);
  const stopReason = chat.stopReason ?? null;
  switch (chat.state) {
    case 'delta':
      return { kind: 'delta', runId, sessionKey, text: said, delta: chat.deltaText };
    case 'final':
      return { kind: 'final', runId, sessionKey, text: said, stopReason };
    case 'aborted':
      return { kind: 'aborted', runId, sessionKey, text: said, stopReason };
    case 'error': {
      const errorMessage = chat.errorMessage ?? '';
      const errorKind = chat.errorKind ?? null;
      return {
        kind: 'error',
        runId,
        sessionKey,
        message: errorMessage,
        failure: failureOf(chat.errorDetail),
        errorKind,
        stopReason,
      };
    }
  }
}

type ErrorDetail = { [Key in keyof ProviderFailure]?: ProviderFailure[Key] | undefined };

function failureOf(detail: ErrorDetail | null | undefined): ProviderFailure | null {
  if (!detail) return null;
  return {
    provider: detail.provider ?? null,
    model: detail.model ?? null,
    failoverReason: detail.failoverReason ?? null,
    httpStatus: detail.httpStatus ?? null,
  };
}

function fromAgent(payload: unknown): GatewayEvent | null {
  const agent = agentEvent.safeParse(payload).data;
  if (!agent) return null;
  const { runId, sessionKey, stream } = agent;
  const phase = agent.data?.phase ?? null;
  const urls = agent.data?.mediaUrls ?? [];
  if (stream === 'assistant' && urls.length > 0) return { kind: 'media', runId, sessionKey, urls };
  // A run that the gateway repeats after a crash has no "start".
  const tool = stream === 'tool' ? toolEvent(toolData.safeParse(agent.data).data) : null;
  if (tool) return { ...tool, runId, sessionKey };
  const started = stream === 'lifecycle' && (phase === 'start' || phase === 'model');
  return started ? { kind: 'run-started', runId, sessionKey } : { kind: 'other', runId, sessionKey, stream, phase };
}

function fromSessionMessage(payload: unknown): GatewayEvent | null {
  const parsed = sessionMessageEvent.safeParse(payload).data;
  if (!parsed) return null;
  const { role, content, __openclaw: origin } = parsed.message;
  return {
    kind: 'session-message',
    sessionKey: parsed.sessionKey,
    message: {
      role,
      text: textOfContent(content),
      id: origin?.id ?? null,
      runId: origin?.runId ?? null,
      seq: origin?.seq ?? null,
    },
  };
}

function fromShutdown(payload: unknown): GatewayEvent | null {
  const shutdown = shutdownEvent.safeParse(payload ?? {}).data;
  if (!shutdown) return null;
  return { kind: 'shutdown', reason: shutdown.reason, restartExpectedMs: shutdown.restartExpectedMs ?? null };
}
