import { z } from 'zod';
import type {
  Gateway,
  GatewayContent,
  GatewayFiles,
  GatewaySecrets,
  GatewayTurns,
  TurnPlace,
  TurnTrace,
} from '../gateway/gateway.ts';
import type { GatewayEvent } from '../gateway/gateway-events.ts';
import { setAgentFile } from './content/agent-files.ts';
import { secretNames, syncSecrets } from './content/secret-store.ts';
import { hasSkills, readSkills, waitForSkills } from './content/skill-liveness.ts';
import { readWorkspace } from './content/workspace-files.ts';
import { abortTurn, reopenSession, sendTurn } from './conversation/agent-turn.ts';
import { readHistory } from './conversation/gateway-history.ts';
import { signsOf } from './conversation/history-calls.ts';
import { decideRecovery, isHeldOpen, rerunAtWork, rerunsOf, willRerun } from './conversation/recovery.ts';
import { sessionKeyOf } from './conversation/session-key.ts';
import { startReader } from './conversation/session-reader.ts';
import { messageIdOfRun, turnKey } from './conversation/turn-key.ts';
import { proveTurns } from './conversation/turn-proof.ts';
import { listSessionsSince, unpromptedRuns } from './conversation/unprompted-runs.ts';
import { jobsOf } from './open-claw-jobs.ts';
import { publicEvent } from './public-event.ts';
import type { GatewayClient } from './wire/gateway-client.ts';
import { BulkWriter } from './wire/write-limit.ts';

/** Opens a connection beside the first one: the first of them, the second, and so on. */
export type OpenFurther = (number: number, signal: AbortSignal) => Promise<GatewayClient>;

/** OpenClaw behind the interface of a gateway. `openFurther` is for many writes at once. */
export function openClawGateway(client: GatewayClient, openFurther: OpenFurther): Gateway {
  return {
    bootId: client.bootId,
    closed: client.closed,
    get flood() {
      return client.flood;
    },
    isOpen: () => client.isOpen(),
    close: () => client.close(),
    follow: (listener) => follow(client, listener),
    prove: (signal) => proveTurns(client, signal),
    turns: turnsOf(client),
    content: contentOf(client),
    files: filesOf(client),
    secrets: secretsOf(client, openFurther),
    jobs: jobsOf(client),
  };
}

function follow(client: GatewayClient, listener: (event: GatewayEvent) => void): () => void {
  return client.onEvent((event) => {
    const told = publicEvent(event);
    if (told) listener(told);
  });
}

function turnsOf(client: GatewayClient): GatewayTurns {
  return {
    runIdOf: keyOf,
    send: (turn, options) => {
      const { gatewayAgentId: agentId, text: message, saidAtMs, traceId } = turn;
      const { timeoutSeconds, ...rest } = options;
      const place = { key: keyOf(turn), agentId, sessionKey: sessionKeyOf(turn) };
      return sendTurn(client, { ...place, message, saidAt: new Date(saidAtMs), traceId, timeoutSeconds }, rest);
    },
    abort: (turn, rerun = keyOf(turn)) => abortTurn(client, { sessionKey: sessionKeyOf(turn), key: rerun }),
    reopen: async (conversation, why, signal) => void (await reopenSession(client, sessionKeyOf(conversation), why, signal)),
    forget: async (conversation, signal) =>
      void (await client.request('sessions.delete', { key: sessionKeyOf(conversation) }, { signal })),
    startReader: (gatewayAgentId, signal) => startReader(client, gatewayAgentId, signal),
    readBack: (turn, signal) => readBack(client, turn, signal),
    readUnprompted: async ({ key: sessionKey }, signal) =>
      unpromptedRuns(await readHistory(client, { sessionKey, keys: [], signal }), (runId) => messageIdOfRun(runId) !== null),
    sessionsSince: (sinceMs) => listSessionsSince(client, sinceMs),
  };
}

function keyOf({ messageId, attempt }: TurnPlace): string {
  return turnKey(messageId, attempt);
}

async function readBack(client: GatewayClient, turn: TurnPlace, signal: AbortSignal): Promise<TurnTrace> {
  const key = keyOf(turn);
  const history = await readHistory(client, { sessionKey: sessionKeyOf(turn), keys: [key], signal });
  return {
    recovery: decideRecovery(history, key),
    signs: signsOf(history.rows, [...earlierKeys(turn), key, ...rerunsOf(history, key)]),
    rerun: rerunAtWork(history, key),
    isHeldOpen: isHeldOpen(history, key),
    willRerun: willRerun(history, key),
  };
}

function earlierKeys({ messageId, attempt }: TurnPlace): string[] {
  return Array.from({ length: Math.max(0, attempt - 1) }, (_, index) => turnKey(messageId, index + 1));
}

const agentsAnswer = z.looseObject({ agents: z.array(z.looseObject({ id: z.string() })) });

function contentOf(client: GatewayClient): GatewayContent {
  return {
    agents: async (signal) => agentsAnswer.parse(await client.request('agents.list', {}, { signal })).agents.map(({ id }) => id),
    hasSkills: async (wanted, agentId) => hasSkills(await readSkills(client, agentId), wanted),
    awaitSkills: (wanted, options) => waitForSkills(client, wanted, options),
  };
}

function filesOf(client: GatewayClient): GatewayFiles {
  return {
    set: (file) => setAgentFile(client, file),
    read: (of) => readWorkspace(client, of),
  };
}

function secretsOf(client: GatewayClient, openFurther: OpenFurther): GatewaySecrets {
  return {
    names: () => secretNames(client),
    async sync(wanted, signal) {
      const writer = new BulkWriter(client, { connectFurther: (number) => openFurther(number, signal), signal });
      try {
        await syncSecrets(writer, wanted);
      } finally {
        writer.close();
      }
    },
  };
}
