import { z } from 'zod';
import { ERRORS } from '../domain/errors.ts';
import type { AppError, ErrorCode } from '../domain/errors.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the type of the keys
const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** The body of every answer that is no success. */
export const errorEnvelope = z
  .object({
    error: z.object({
      code: z.enum(codes).meta({ description: 'What went wrong, for programs.' }),
      message: z.string().meta({ description: 'What went wrong and what to do, for people.' }),
      status: z.int().meta({ description: 'The HTTP status.' }),
      requestId: z.string().meta({ description: 'Name it when you ask for help; it is `X-Request-Id` too.' }),
      reason: z.string().optional().meta({ description: 'Narrows the code down.' }),
      details: z
        .array(z.object({ path: z.string(), message: z.string() }))
        .optional()
        .meta({ description: 'Every field or parameter that has to change.' }),
      messageId: z.string().optional().meta({ description: 'The reply whose turn this is about.' }),
      retryable: z.boolean().optional().meta({ description: 'Whether the same call may succeed later.' }),
    }),
  })
  .meta({ id: 'Error', description: 'The body of every answer that is no success.' });

export type ErrorEnvelope = z.infer<typeof errorEnvelope>;

/** What the caller is told of an error. Never contains its cause. */
export function toEnvelope(error: AppError, requestId: string): ErrorEnvelope {
  const { code, message, status, reason, details, messageId, retryable } = error;
  return {
    error: {
      code,
      message,
      status,
      requestId,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details: [...details] }),
      ...(messageId === undefined ? {} : { messageId }),
      retryable,
    },
  };
}
