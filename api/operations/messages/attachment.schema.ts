import { z } from 'zod';
import { attachmentsProblem, MAX_ATTACHMENTS, MAX_ATTACHMENTS_BYTES } from '../../../domain/agents/attachments.ts';
import type { GivenAttachment } from './put-attachments.ts';

/** 10 MiB as base64, and a message every character of which may be escaped. */
export const MESSAGE_BODY_LIMIT_BYTES = 16 * 1024 * 1024;

const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$/;

const mediaTypeField = z
  .string()
  .toLowerCase()
  .regex(MEDIA_TYPE, { error: 'Give a media type such as image/png.', abort: true })
  .meta({ example: 'image/png' });

/** The bytes of base64 with its padding. */
function bytesOfBase64(text: string): Buffer | null {
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  return isBase64 ? Buffer.from(text, 'base64') : null;
}

/** What all attachments of a message together must be, with a problem for the one that has to change. */
function checkAttachments(attachments: readonly GivenAttachment[], context: z.core.$RefinementCtx): void {
  const problem = attachmentsProblem(attachments);
  if (problem) context.addIssue({ code: 'custom', path: [problem.index, 'name'], message: problem.message, input: undefined });
  const size = attachments.reduce((sum, { content }) => sum + content.length, 0);
  if (size > MAX_ATTACHMENTS_BYTES)
    context.addIssue({
      code: 'custom',
      message: `The attachments of a message can have at most ${MAX_ATTACHMENTS_BYTES} bytes in total.`,
      input: undefined,
    });
}

const attachment = z
  .object({
    name: z.string().meta({ description: 'A relative path without "..", such as `report.pdf`.', example: 'report.pdf' }),
    mediaType: mediaTypeField,
    data: z.string().meta({ description: 'The bytes of the file in base64.', example: 'aGVsbG8=' }),
  })
  .transform(({ name, mediaType, data }, context): GivenAttachment => {
    const content = bytesOfBase64(data);
    if (content) return { name, mediaType, content };
    context.addIssue({ code: 'custom', path: ['data'], message: 'Must be base64 with its padding.', input: undefined });
    return z.NEVER;
  });

export const attachmentsField = z
  .array(attachment)
  .max(MAX_ATTACHMENTS, `Attach at most ${MAX_ATTACHMENTS} files.`)
  .superRefine(checkAttachments)
  .default([])
  .meta({
    description:
      'Files for the agent, at most 10 and 10 MiB in total. They are put into its workspace under `inbox/`, and the agent is told where. Images are shown to a model that takes images.',
  });

/** An attachment as history names it. */
export const attachmentSchema = z
  .object({
    name: z.string(),
    mediaType: z.string(),
    size: z.int().meta({ description: 'In bytes.' }),
    path: z.string().meta({ description: 'The path of the file in the workspace: `GET .../files/<path>` answers it.' }),
  })
  .meta({ id: 'Attachment' });
