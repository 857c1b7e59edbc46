import { z } from 'zod';
import { ERRORS } from '../../domain/errors.ts';
import type { AppError, ErrorCode } from '../../domain/errors.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the type of the keys
const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** The body of every answer that is no success. */
export const errorEnvelope = z
  .object({
    error: z.object({
      code: z.enum(codes).meta({ description: 'The error code, for programs.' }),
      message: z.string().meta({ description: 'What happened and what to do about it, for people.' }),
      status: z.int().meta({ description: 'The HTTP status of the response.' }),
      requestId: z
        .string()
        .meta({ description: 'The id of the request, as in the `X-Request-Id` header. Quote it in support requests.' }),
      reason: z.string().optional().meta({
        description: 'A more specific reason for the error code, such as the status of an instance that is not running.',
      }),
      details: z
        .array(z.object({ path: z.string(), message: z.string() }))
        .optional()
        .meta({ description: 'The fields and parameters that must change.' }),
      messageId: z.string().optional().meta({ description: 'The id of the reply whose turn failed or has not ended.' }),
      retryable: z.boolean().optional().meta({ description: 'Whether the same request may succeed later.' }),
    }),
  })
  .meta({ id: 'Error', description: 'The body of every error response.' });

export type ErrorEnvelope = z.infer<typeof errorEnvelope>;

/** The error body for the caller. It never contains the cause. */
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
