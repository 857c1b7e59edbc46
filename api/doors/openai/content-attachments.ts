import { invalidRequest } from '../../contract/invalid-request.ts';
import { attachmentsField } from '../../operations/messages/attachment.schema.ts';
import type { GivenAttachment } from '../../operations/messages/put-attachments.ts';
import type { ContentFile } from './content.ts';

/** The files of new messages as attachments. Throws `invalid_request`, naming this field, where they cannot be attached. */
export function attachmentsOf(path: string, files: readonly ContentFile[]): GivenAttachment[] {
  const parsed = attachmentsField.safeParse(files);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({ path, message: withName(issue.message, files, issue.path[0]) }));
  throw invalidRequest(problems);
}

function withName(message: string, files: readonly ContentFile[], index: PropertyKey | undefined): string {
  const file = typeof index === 'number' ? files[index] : undefined;
  return file ? `The file '${file.name}': ${message}` : message;
}
