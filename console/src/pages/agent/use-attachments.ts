import { useState } from 'react';
import type { BodyOf } from '../../../../sdk/typescript/src/types.ts';
import { base64Of } from '../../client/browser-files.ts';
import { bytes } from '../../format.ts';

const MOST = 10;
const LARGEST_TOGETHER = 10 * 1024 * 1024;

type GivenAttachments = NonNullable<BodyOf<'messages.send'>['attachments']>;

/** The files that go with the next message. What the API would refuse is not taken, and `problem` says why. */
export function useAttachments() {
  const [files, setFiles] = useState<readonly File[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  return {
    files,
    problem,
    add(given: readonly File[]) {
      const all = [...files, ...given];
      const size = all.reduce((sum, file) => sum + file.size, 0);
      if (all.length > MOST) return setProblem(`Attach at most ${MOST} files to a message.`);
      if (size > LARGEST_TOGETHER)
        return setProblem(
          `Attachments of a message can have ${bytes(LARGEST_TOGETHER)}. Upload larger files to the agent's files.`,
        );
      setProblem(null);
      setFiles(all);
    },
    remove(file: File) {
      setProblem(null);
      setFiles(files.filter((one) => one !== file));
    },
    /** Replaces them: by none after a message was sent, and by those of a message that was refused. */
    replace(by: readonly File[]) {
      setProblem(null);
      setFiles(by);
    },
  };
}

/** Files as the body of a message has them. */
export function encoded(files: readonly File[]): Promise<GivenAttachments> {
  return Promise.all(
    files.map(async (file) => ({
      name: file.name,
      mediaType: file.type.split(';')[0] || 'application/octet-stream',
      data: await base64Of(file),
    })),
  );
}
