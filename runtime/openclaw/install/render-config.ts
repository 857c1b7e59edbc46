import { GATEWAY_RUNS_AT_ONCE } from '../../../domain/gateway-verdict.ts';
import type { WireName } from '../../../lib/settings/models.ts';
import type { Placement, RuntimePaths } from '../../driver.ts';
import { personaSettings } from '../content/persona-settings.ts';

export interface GatewayContent {
  /** The bearer token of the gateway's own HTTP and WebSocket interface. */
  gatewayToken: string;
  /** Base URL of the model relay as the gateway reaches it, ending in /v1. */
  relayUrl: string;
  paths: RuntimePaths;
  /** How long one turn may run. */
  turnTimeoutSeconds: number;
  agents: readonly GatewayAgent[];
  /** None by default. */
  skills?: GatewaySkills;
}

export interface GatewaySkills {
  /** The bundled skills that agents have. Those of the driver's own directory they have anyway. */
  bundled: readonly string[];
  /** The variables that each skill asks for, by its `skillKey` or else its name: without them it is not shown to agents. */
  env: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface GatewayAgent {
  gatewayAgentId: string;
  model: {
    id: string;
    contextWindow: number;
    maxTokens: number;
    /** What it reads: text by default. */
    input?: readonly ('text' | 'image')[];
    /** How the relay is called for it: OpenAI's chat completions by default. */
    wire?: WireName;
  };
  /** With it the relay knows which agent makes a model call. */
  relayToken: string;
}

/**
 * For the list of skills in the prompt. By default it has 18,000 characters, and what does not fit is left out. This holds
 * the most that an instance has, with the longest names; descriptions the gateway shortens when the list takes more
 * characters than a fifth of the model's tokens.
 */
const MAX_SKILLS_PROMPT_CHARS = 150_000;
const PAIRING_PLUGIN = 'admin-http-rpc';

/**
 * Tools that an agent of a hosted instance has no use for, or that would change the gateway itself.
 * Without them the system prompt is a third as long.
 */
const DENIED_TOOLS = [
  'gateway',
  'openclaw',
  'plugins',
  'nodes',
  'secrets',
  'ask_user',
  'skill_workshop',
  'image_generate',
  'music_generate',
  'video_generate',
  'tts',
  'theme',
  'terminal',
  'portal',
  'dashboard',
  'browser',
  'canvas',
  'computer',
  'mobile_ui',
];

/** The text of openclaw.json for one runtime. Valid for no agents too. */
export function renderConfig(content: GatewayContent, placement: Placement): string {
  const config = {
    ...gatewaySection(content, placement),
    ...outwardCallsOff(),
    ...conversationsKept(),
    plugins: {
      // Through it a peer of another machine, as we are to a container, is paired.
      allow: placement.bind === 'lan' ? ['memory-core', PAIRING_PLUGIN] : ['memory-core'],
      slots: { memory: 'memory-core' },
      entries: {
        'memory-core': { config: { dreaming: { enabled: false } } },
        ...(placement.bind === 'lan' && { [PAIRING_PLUGIN]: { enabled: true } }),
      },
    },
    models: {
      mode: 'replace',
      catalogRefresh: { enabled: false },
      providers: Object.fromEntries(content.agents.map((agent) => [providerOf(agent), provider(agent, content)])),
    },
    skills: skillsSection(content),
    commands: { restart: false },
    tools: {
      profile: 'coding',
      deny: DENIED_TOOLS,
      loopDetection: { enabled: true },
      elevated: { enabled: false },
      exec: { mode: 'full' },
      web: { search: { enabled: false } },
    },
    agents: agentsSection(content),
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

function skillsSection({ skills = { bundled: [], env: {} } }: GatewayContent) {
  return {
    // An empty list would mean "all bundled skills".
    allowBundled: skills.bundled.length === 0 ? ['-'] : skills.bundled,
    entries: Object.fromEntries(Object.entries(skills.env).map(([key, env]) => [key, { env }])),
    limits: { maxSkillsPromptChars: MAX_SKILLS_PROMPT_CHARS },
    workshop: { autonomous: { mode: 'off' } },
  };
}

function gatewaySection({ gatewayToken, paths }: GatewayContent, { port, bind }: Placement) {
  return {
    gateway: {
      mode: 'local',
      port,
      bind,
      auth: { mode: 'token', token: gatewayToken },
      controlUi: { enabled: false },
      terminal: { enabled: false },
      cliAgents: { enabled: false },
      tailscale: { mode: 'off' },
      // GET /v1/models/openclaw%2F<agent> is how we see that an agent is live.
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    // JSON tells the gateway's own lines from the answers that it prints too: the latter name no subsystem.
    logging: {
      file: paths.logFile,
      maxFileBytes: 10 * 1024 ** 2,
      level: 'info',
      consoleLevel: 'info',
      consoleStyle: 'json',
    },
  };
}

/** Nothing leaves the instance but model calls to the relay and what its agents do. */
function outwardCallsOff() {
  return {
    update: { checkOnStart: false, auto: { enabled: false } },
    telemetry: { enabled: false },
    discovery: { mdns: { mode: 'off' } },
  };
}

/** By default conversations are archived after 30 idle days, and an archived one refuses new messages. */
function conversationsKept() {
  return {
    memory: { search: { provider: 'none' } },
    session: {
      reset: { mode: 'none' },
      notifyOnCreate: false,
      maintenance: {
        // Nothing is to be pruned, and with `enforce` a gateway can lock itself out of its agents' databases.
        mode: 'warn',
        pruneAfter: '3650d',
        archiveDashboardAfter: false,
        maxEntries: 1_000_000,
        maxDiskBytes: false,
      },
    },
    cron: { enabled: true, sessionRetention: false },
  };
}

function agentsSection({ agents, paths, turnTimeoutSeconds }: GatewayContent) {
  const defaults = {
    skipBootstrap: true,
    timeoutSeconds: turnTimeoutSeconds,
    // Turns of different conversations at once; the most that was tried with the memory that a gateway gets.
    maxConcurrent: GATEWAY_RUNS_AT_ONCE,
    heartbeat: { every: '0m' },
  };
  const [first] = agents;
  // Entries may not be empty: without them the gateway adds an idle agent, "main", which no client can reach.
  if (!first) return { defaults };
  return {
    ownership: 'explicit',
    // The system agent owns ambient jobs; without it each start logs errors.
    defaults: { ...defaults, systemAgent: { agentId: first.gatewayAgentId } },
    // Without names: agents know theirs by IDENTITY.md, and a changed one would make the gateway read all of this again.
    entries: Object.fromEntries(
      agents.map((agent) => [
        agent.gatewayAgentId,
        {
          model: `${providerOf(agent)}/${agent.model.id}`,
          workspace: paths.workspaceOf(agent.gatewayAgentId),
          agentDir: paths.agentDirOf(agent.gatewayAgentId),
          ...personaSettings(agent.model.contextWindow),
        },
      ]),
    ),
  };
}

function provider({ model, relayToken }: GatewayAgent, { relayUrl }: GatewayContent) {
  const { wire = 'openai-completions', input = ['text'] } = model;
  return {
    // For Anthropic's messages the gateway adds /v1 itself.
    baseUrl: wire === 'anthropic-messages' ? relayUrl.replace(/\/v1$/, '') : relayUrl,
    apiKey: relayToken,
    api: wire,
    // Without `timeoutSeconds`: with it the gateway keeps all of a turn in memory (0.9 MB) until that time has passed, and a busy one runs out.
    // The relay limits a call, and the gateway its silence: the first event to five minutes, later ones to the turn's time.
    models: [
      {
        id: model.id,
        name: model.id,
        reasoning: false,
        input,
        contextWindow: model.contextWindow,
        maxTokens: model.maxTokens,
        cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      },
    ],
  };
}

/** One provider per agent, so that each agent has its own token. */
function providerOf({ gatewayAgentId }: GatewayAgent): string {
  return `relay-${gatewayAgentId}`;
}
