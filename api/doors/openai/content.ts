import { z } from 'zod';

/** A file among the parts of a message, with the fields of an attachment. Its bytes are not decoded yet. */
export interface ContentFile {
  name: string;
  mediaType: string;
  /** In base64. */
  data: string;
}

/** What a message says. */
export interface Content {
  text: string;
  files: ContentFile[];
}

const DATA_URL = /^data:([\w.+-]{1,64}\/[\w.+-]{1,64})(?:;[\w-]{1,64}=[^;,]{0,128})*;base64,/i;
const NOT_INLINE = 'Must be a data URL in base64, such as data:image/png;base64,iVBORw0K. Other URLs are not fetched.';
const NO_FILE_IDS = 'No files are stored under an id here. Send the bytes of the file instead.';
const NO_FILE_URLS = 'URLs of files are not fetched. Send the bytes of the file as file_data.';

const text = z
  .object({ type: z.enum(['text', 'input_text', 'output_text']), text: z.string() })
  .transform((part): Content => ({ text: part.text, files: [] }));

const refusal = z
  .object({ type: z.literal('refusal'), refusal: z.string() })
  .transform((part): Content => ({ text: part.refusal, files: [] }));

const fileIdField = z.null(NO_FILE_IDS).optional();

const imageField = z.string(NOT_INLINE).transform((url, context): Content => {
  const [head = '', mediaType = ''] = DATA_URL.exec(url) ?? [];
  if (head !== '') return { text: '', files: [{ name: 'image', mediaType, data: url.slice(head.length) }] };
  context.addIssue(NOT_INLINE);
  return z.NEVER;
});

/** Given as a data URL or as base64 alone. */
const fileFields = z.object({
  file_id: fileIdField,
  file_url: z.null(NO_FILE_URLS).optional(),
  filename: z.string().nullish(),
  file_data: z.string(),
});

function contentOfFile({ filename, file_data: given }: z.output<typeof fileFields>): Content {
  const [head = '', mediaType = 'application/octet-stream'] = DATA_URL.exec(given) ?? [];
  return { text: '', files: [{ name: filename ?? 'file', mediaType, data: given.slice(head.length) }] };
}

const part = z.discriminatedUnion(
  'type',
  [
    text,
    refusal,
    // Of chat completions.
    z
      .object({ type: z.literal('image_url'), image_url: z.object({ url: imageField }) })
      .transform((image) => image.image_url.url),
    z.object({ type: z.literal('file'), file: fileFields }).transform(({ file }) => contentOfFile(file)),
    // Of responses.
    z
      .object({ type: z.literal('input_image'), file_id: fileIdField, image_url: imageField })
      .transform((image) => image.image_url),
    fileFields.extend({ type: z.literal('input_file') }).transform(contentOfFile),
  ],
  'Must be a part with text, an image or a file. Audio cannot be sent to an agent.',
);

/** The content of a message: a text, or parts of any of OpenAI's forms. */
export const contentField = z
  .preprocess(
    (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content),
    z.array(part, { error: 'Must be a string or a list of parts.' }).nullish(),
  )
  .transform((parts): Content => {
    const all = parts ?? [];
    const texts = all.filter(({ files }) => files.length === 0).map((one) => one.text);
    return { text: texts.join('\n'), files: all.flatMap(({ files }) => files) };
  });
