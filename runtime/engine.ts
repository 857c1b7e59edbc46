/**
 * What there is to know about OpenClaw without a connection to a gateway: how it is installed and configured, when a
 * gateway is ready, and what it takes for files and skills. The only way to it from outside of runtime/, beside Gateway.
 */
export { isPersonaFile } from './openclaw/content/agent-files.ts';
export { waitForAgents } from './openclaw/content/agent-liveness.ts';
export { defaultFiles } from './openclaw/content/default-files.ts';
export { MAX_USER_FILE_CHARS, personaProblems } from './openclaw/content/persona-limits.ts';
export { createSkillCatalogue } from './openclaw/content/skill-catalogue.ts';
export type { BundledSkill, SkillCatalogue } from './openclaw/content/skill-catalogue.ts';
export { completeSkill, FrontMatterError, readSkillManifest } from './openclaw/content/skill-front-matter.ts';
export type { CompleteSkill } from './openclaw/content/skill-front-matter.ts';
export { ensureOpenClaw, InstallationError } from './openclaw/install/installation.ts';
export { renderConfig } from './openclaw/install/render-config.ts';
export type { GatewayAgent } from './openclaw/install/render-config.ts';
export { gatewayToken, RELAY_TOKENS, relayKeys, relayToken } from './openclaw/install/tokens.ts';
export type { MasterKey } from './openclaw/install/tokens.ts';
export { probeReadiness, waitUntilReady } from './openclaw/wire/readiness.ts';
