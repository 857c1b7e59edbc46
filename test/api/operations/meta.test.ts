import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { operations } from '../../../api/operations/index.ts';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.close());

describe('meta.openapi', () => {
  test('describes every operation to anybody', async () => {
    const document = await api.nobody.ok('GET', '/openapi.json');
    expect(document.openapi).toBe('3.1.1');
    const described = Object.values<Record<string, { operationId: string }>>(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(described.toSorted()).toEqual(operations.map(({ operationId }) => operationId).toSorted());
  });
});
