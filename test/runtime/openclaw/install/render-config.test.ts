import { expect, test } from '@jest/globals';
import { renderConfig } from '../../../../runtime/openclaw/install/render-config.ts';
import type { GatewayAgent, GatewayContent } from '../../../../runtime/openclaw/install/render-config.ts';

const placement = { port: 4711, bind: 'loopback' } as const;

function agent(gatewayAgentId: string): GatewayAgent {
  return {
    gatewayAgentId,
    model: { id: 'moonshotai.kimi-k2.5', contextWindow: 256_000, maxTokens: 8_192 },
    relayToken: `token-${gatewayAgentId}`,
  };
}

function content(agents: readonly GatewayAgent[]): GatewayContent {
  return {
    gatewayToken: 'gateway-token',
    relayUrl: 'http://127.0.0.1:3001/v1',
    turnTimeoutSeconds: 1_800,
    agents,
    paths: {
      stateDir: '/s',
      logFile: '/s/logs/gateway.log',
      workspaceOf: (id) => `/s/workspaces/${id}`,
      agentDirOf: (id) => `/s/agents/${id}/agent`,
    },
  };
}

function rendered(agents: readonly GatewayAgent[]) {
  return JSON.parse(renderConfig(content(agents), placement));
}

test('each agent has a provider and a relay token of its own', () => {
  const { models, agents } = rendered([agent('alpha'), agent('beta')]);
  expect(Object.keys(models.providers)).toEqual(['relay-alpha', 'relay-beta']);
  expect(models.providers['relay-beta']).toMatchObject({
    baseUrl: 'http://127.0.0.1:3001/v1',
    apiKey: 'token-beta',
    api: 'openai-completions',
    models: [{ id: 'moonshotai.kimi-k2.5', contextWindow: 256_000, maxTokens: 8_192 }],
  });
  expect(agents.entries.beta).toEqual({
    model: 'relay-beta/moonshotai.kimi-k2.5',
    workspace: '/s/workspaces/beta',
    agentDir: '/s/agents/beta/agent',
    bootstrapMaxChars: 128_000,
    bootstrapTotalMaxChars: 256_000,
  });
});

test('ambient jobs belong to the first agent', () => {
  expect(rendered([agent('alpha'), agent('beta')]).agents).toMatchObject({
    ownership: 'explicit',
    defaults: { systemAgent: { agentId: 'alpha' } },
  });
});

test('without agents there are no entries at all, because OpenClaw refuses an empty list', () => {
  const { agents, models } = rendered([]);
  expect(Object.keys(agents)).toEqual(['defaults']);
  expect(agents.defaults).not.toHaveProperty('systemAgent');
  expect(models.providers).toEqual({});
});

test('the gateway listens where the driver placed it, with its own token', () => {
  expect(rendered([]).gateway).toMatchObject({ port: 4711, bind: 'loopback', auth: { mode: 'token', token: 'gateway-token' } });
});

test('a turn may run as long as the setting says', () => {
  expect(rendered([agent('alpha')]).agents.defaults.timeoutSeconds).toBe(1_800);
});

test('a model call has no time limit of the gateway, which would keep the whole turn in memory until then', () => {
  expect(rendered([agent('alpha')]).models.providers['relay-alpha']).not.toHaveProperty('timeoutSeconds');
});

test('conversations and cron results are never archived or pruned', () => {
  expect(rendered([])).toMatchObject({
    session: { reset: { mode: 'none' }, maintenance: { pruneAfter: '3650d', archiveDashboardAfter: false, maxDiskBytes: false } },
    cron: { enabled: true, sessionRetention: false },
  });
});

test('nothing calls out or spends tokens by itself', () => {
  expect(rendered([agent('alpha')])).toMatchObject({
    update: { checkOnStart: false, auto: { enabled: false } },
    telemetry: { enabled: false },
    discovery: { mdns: { mode: 'off' } },
    models: { mode: 'replace', catalogRefresh: { enabled: false } },
    memory: { search: { provider: 'none' } },
    plugins: { entries: { 'memory-core': { config: { dreaming: { enabled: false } } } } },
    skills: { allowBundled: ['-'], workshop: { autonomous: { mode: 'off' } } },
    agents: { defaults: { heartbeat: { every: '0m' } } },
  });
});

test('the same content renders to the same text', () => {
  const agents = [agent('alpha'), agent('beta')];
  expect(renderConfig(content(agents), placement)).toBe(renderConfig(content(agents), placement));
});

test('only a gateway that meets us as a remote peer has the plugin by which we are paired', () => {
  const pluginsOf = (bind: 'loopback' | 'lan') => JSON.parse(renderConfig(content([]), { ...placement, bind })).plugins;
  expect(pluginsOf('loopback').allow).toEqual(['memory-core']);
  expect(pluginsOf('lan')).toMatchObject({
    allow: ['memory-core', 'admin-http-rpc'],
    entries: { 'admin-http-rpc': { enabled: true } },
  });
});

test('the wire of an agent follows its model, and images reach models that read them', () => {
  const model = {
    id: 'claude',
    contextWindow: 200_000,
    maxTokens: 8_192,
    input: ['text', 'image'],
    wire: 'anthropic-messages',
  } as const;
  const { providers } = rendered([{ ...agent('alpha'), model }, agent('beta')]).models;
  expect(providers['relay-alpha']).toMatchObject({
    ...{ api: 'anthropic-messages', baseUrl: 'http://127.0.0.1:3001', models: [{ id: 'claude', input: ['text', 'image'] }] },
  });
  expect(providers['relay-beta']).toMatchObject({
    ...{ api: 'openai-completions', baseUrl: 'http://127.0.0.1:3001/v1', models: [{ input: ['text'] }] },
  });
});
