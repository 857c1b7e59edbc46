import type { Operation } from '../../contract/define-operation.ts';
import { archiveClaudeAgent } from './archive-claude-agent.ts';
import { archiveEnvironment } from './archive-environment.ts';
import { archiveSession } from './archive-session.ts';
import { createClaudeAgent } from './create-claude-agent.ts';
import { createEnvironment } from './create-environment.ts';
import { createSession } from './create-session.ts';
import { deleteEnvironment } from './delete-environment.ts';
import { deleteSession } from './delete-session.ts';
import { getClaudeAgent } from './get-claude-agent.ts';
import { getEnvironment } from './get-environment.ts';
import { getSession } from './get-session.ts';
import { listClaudeAgents } from './list-claude-agents.ts';
import { listEnvironments } from './list-environments.ts';
import { listSessionEvents } from './list-session-events.ts';
import { listSessions } from './list-sessions.ts';
import { sendSessionEvents } from './send-session-events.ts';
import { streamSessionEvents } from './stream-session-events.ts';
import { updateClaudeAgent } from './update-claude-agent.ts';
import { updateEnvironment } from './update-environment.ts';
import { updateSession } from './update-session.ts';

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
