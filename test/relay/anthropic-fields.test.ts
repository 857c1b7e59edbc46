import { describe, expect, test } from '@jest/globals';
import { anthropicFields, anthropicTokenLimit } from '../../relay/wires/anthropic-fields.ts';

const MODEL = { maxTokens: 8_192 };
const CALL = { model: 'public-model', messages: [{ role: 'user', content: 'Hello' }] };
const LIMITED = { ...CALL, max_tokens: 100 };

describe("what of a call of Anthropic's messages reaches the provider", () => {
  test('is what was said and what shapes the answer', () => {
    const tool = { name: 'exec', description: 'Runs', input_schema: { type: 'object' }, cache_control: { type: 'ephemeral' } };
    const shape = {
      ...{ stream: true, system: 'Be kind.', temperature: 1, top_p: 0.9, top_k: 5, stop_sequences: ['END'] },
      ...{
        tools: [tool, { ...tool, type: 'custom' }],
        tool_choice: { type: 'any' },
        thinking: { type: 'adaptive', display: 'summarized' },
      },
      ...{ cache_control: { type: 'ephemeral' }, output_config: { effort: 'low' } },
    };
    expect(anthropicFields({ ...LIMITED, ...shape }, MODEL)).toEqual({ ...LIMITED, ...shape });
  });

  test.each([
    ['another tier of service or place', { service_tier: 'priority', inference_geo: 'us', speed: 'fast' }],
    [
      'what is stored or carried out at the provider',
      { container: 'x', mcp_servers: [{ url: 'http://x' }], context_management: {} },
    ],
    ['who the customer is', { metadata: { user_id: 'x' } }],
    ['another version or beta', { anthropic_version: 'x', anthropic_beta: ['x'], betas: ['x'] }],
    ['another model or address', { models: ['dear'], fallbacks: ['dear'], api_base: 'http://x' }],
    ['an effort that is no word', { output_config: { effort: 5, format: {} } }],
    ['a choice among no tools', { tool_choice: { type: 'any' } }],
    [
      'a tool that runs at the provider, at prices of its own',
      {
        tools: [
          { type: 'web_search_20250305', name: 'web_search' },
          { type: 'web_fetch_20250910', name: 'web_fetch' },
          { type: 'code_execution_20250825', name: 'code_execution' },
          { type: 'mcp_toolset', mcp_server_name: 'x' },
        ],
      },
    ],
  ])('is never %s', (_, fields) => {
    expect(anthropicFields({ ...LIMITED, ...fields }, MODEL)).toEqual(LIMITED);
  });

  test('has at most as many tokens as the model is offered with, and that is what is promised', () => {
    const limit = (asked: unknown) => anthropicTokenLimit(anthropicFields({ ...CALL, max_tokens: asked }, MODEL));
    expect([1, 8_192, 8_193, 10_000_000].map(limit)).toEqual([1, 8_192, 8_192, 8_192]);
    expect([undefined, 0, -1, 'many', null, {}].map(limit)).toEqual(Array.from({ length: 6 }, () => 8_192));
  });

  test('has no more room for thoughts than the answer has, and none where that is less than the least', () => {
    const thinking = (budget: unknown, most = 8_192) =>
      anthropicFields({ ...CALL, max_tokens: most, thinking: { type: 'enabled', budget_tokens: budget } }, MODEL)['thinking'];
    const of = (budget: number) => ({ type: 'enabled', budget_tokens: budget });
    expect([thinking(2_048), thinking(8_192), thinking(100_000), thinking(1)]).toEqual([
      of(2_048),
      of(8_191),
      of(8_191),
      of(1_024),
    ]);
    expect([thinking(2_048, 1_024), thinking('much'), thinking(2_048, 1_025)]).toEqual([undefined, undefined, of(1_024)]);
  });
});
