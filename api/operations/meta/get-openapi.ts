import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';

/** The document describes all operations, this one included, so the caller, which has the list, passes it in. */
export function defineGetOpenapi(document: () => { openapi: string }) {
  // It stays the same for as long as the process runs, and takes a while to make.
  let made: { openapi: string } | undefined;
  return defineOperation({
    method: 'GET',
    path: '/openapi.json',
    operationId: 'meta.openapi',
    summary: 'Get the OpenAPI document of this API',
    tag: 'meta',
    auth: 'public',
    audit: 'none',
    rateLimit: 'none',
    idempotent: false,
    success: { status: 200, schema: z.looseObject({ openapi: z.string() }) },
    errors: [],
    async handle() {
      return { ...(made ??= document()) };
    },
  });
}
