import { describe, expect, test } from '@jest/globals';
import { openAiFields, openAiTokenLimit } from '../../relay/wires/openai-fields.ts';

const MODEL = { maxTokens: 8_192 };
const CALL = { model: 'public-model', messages: [{ role: 'user', content: 'Hello' }] };

describe('what of a model call reaches the provider', () => {
  test('is the model, and what was said', () => {
    expect(openAiFields({ ...CALL, max_tokens: 100 }, MODEL)).toEqual({ ...CALL, max_tokens: 100 });
  });

  test('is what shapes the answer', () => {
    const shape = { stream: true, tools: [{ type: 'function' }], tool_choice: 'auto', temperature: 0.2, top_p: 0.9, seed: 7 };
    const more = { parallel_tool_calls: false, response_format: { type: 'json_object' }, reasoning_effort: 'low', stop: ['x'] };
    expect(openAiFields({ ...CALL, ...shape, ...more }, MODEL)).toMatchObject({ ...shape, ...more });
  });

  test.each([
    ['several answers for one', { n: 128 }],
    ['several attempts for one', { best_of: 20 }],
    ['another model', { models: ['dear'], route: 'fallback', fallbacks: ['dear'], provider: { order: ['x'] } }],
    ['another address for the request and its key', { api_base: 'http://x', base_url: 'http://x', api_key: 'x' }],
    [
      'what the provider would store or be asked to do',
      { store: true, metadata: {}, mock_response: 'x', web_search_options: {} },
    ],
    ['what a proxy reads from the body', { extra_body: { n: 2 }, extra_headers: {}, guided_json: {}, user: 'x' }],
  ])('is never %s', (_, fields) => {
    const allowed = openAiFields({ ...CALL, max_tokens: 100, ...fields }, MODEL);
    expect(allowed).toEqual({ ...CALL, max_tokens: 100 });
  });

  test.each(['max_tokens', 'max_completion_tokens'])('has at most as many tokens as the model is offered with in %s', (name) => {
    const passed = (asked: unknown) => openAiFields({ ...CALL, [name]: asked }, MODEL)[name];
    expect([1, 8_192, 8_193, 10_000_000].map(passed)).toEqual([1, 8_192, 8_192, 8_192]);
    expect([0, -1, 'many', null, {}, Number.NaN].map(passed)).toEqual(Array.from({ length: 6 }, () => 8_192));
  });

  test('is told how long the answer may be, also where the caller does not say, and that is what is promised', () => {
    const unsaid = openAiFields(CALL, MODEL);
    expect([unsaid['max_tokens'], openAiTokenLimit(unsaid)]).toEqual([8_192, 8_192]);
    expect(openAiTokenLimit(openAiFields({ ...CALL, max_completion_tokens: 77 }, MODEL))).toBe(77);
    expect(openAiTokenLimit(openAiFields({ ...CALL, max_tokens: 10, max_completion_tokens: 20 }, MODEL))).toBe(20);
  });
});
