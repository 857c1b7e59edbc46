import type { Operation } from '../../contract/define-operation.ts';
import { archiveClaudeAgent } from './agents/archive-claude-agent.ts';
import { archiveEnvironment } from './environments/archive-environment.ts';
import { archiveSession } from './sessions/archive-session.ts';
import { createClaudeAgent } from './agents/create-claude-agent.ts';
import { createEnvironment } from './environments/create-environment.ts';
import { createSession } from './sessions/create-session.ts';
import { deleteEnvironment } from './environments/delete-environment.ts';
import { deleteSession } from './sessions/delete-session.ts';
import { getClaudeAgent } from './agents/get-claude-agent.ts';
import { getEnvironment } from './environments/get-environment.ts';
import { getSession } from './sessions/get-session.ts';
import { listClaudeAgents } from './agents/list-claude-agents.ts';
import { listEnvironments } from './environments/list-environments.ts';
import { listSessionEvents } from './events/list-session-events.ts';
import { listSessions } from './sessions/list-sessions.ts';
import { sendSessionEvents } from './events/send-session-events.ts';
import { streamSessionEvents } from './events/stream-session-events.ts';
import { updateClaudeAgent } from './agents/update-claude-agent.ts';
import { updateEnvironment } from './environments/update-environment.ts';
import { updateSession } from './sessions/update-session.ts';

/** Every operation behind the door for clients of Claude Managed Agents. */
export const anthropicOperations: readonly Operation[] = [
  createEnvironment,
  listEnvironments,
  getEnvironment,
  updateEnvironment,
  archiveEnvironment,
  deleteEnvironment,
  createClaudeAgent,
  listClaudeAgents,
  getClaudeAgent,
  updateClaudeAgent,
  archiveClaudeAgent,
  createSession,
  listSessions,
  getSession,
  updateSession,
  archiveSession,
  deleteSession,
  sendSessionEvents,
  listSessionEvents,
  streamSessionEvents,
];
