import { z } from 'zod';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { STATE_DIR } from '../docker/in-container.ts';
import { InstanceDiskFullError, UnsafePathError } from '../driver.ts';
import type { SkillFile } from '../driver.ts';

/** What the program of runtime/image/instance-files.ts is asked to do. */
export type FilesRequest =
  | { put: { directory: string; files: ReadonlyMap<string, Buffer> } }
  | { remove: readonly string[] }
  | { skills: ReadonlyMap<string, SkillFile> };

const answerLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done') }),
  z.object({ kind: z.literal('unsafe'), message: z.string() }),
  z.object({ kind: z.literal('failed'), message: z.string(), code: z.string().nullable() }),
]);

/** The request as the program reads it. */
export function requestText(request: FilesRequest): string {
  return JSON.stringify(wordsOf(request));
}

function wordsOf(request: FilesRequest): object {
  if ('remove' in request) return { root: STATE_DIR, remove: request.remove };
  if ('skills' in request) {
    const skills = [...request.skills].map(([path, { content, executable }]) => [path, content.toString('base64'), executable]);
    return { root: STATE_DIR, skills };
  }
  const { directory, files } = request.put;
  return { root: STATE_DIR, put: { directory, files: [...files].map(([name, content]) => [name, content.toString('base64')]) } };
}

/** Throws what the program says went wrong. `isDisk`: the instance has a disk of its own. */
export function checkAnswer({ stdout, stderr }: { stdout: string; stderr: string }, { isDisk }: { isDisk: boolean }): void {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  const answer = answerLine.safeParse(jsonOrNull(line)).data;
  if (!answer) throw new Error(`The files of an instance could not be changed: ${(stderr || stdout).slice(-500)}`);
  if (answer.kind === 'unsafe') throw new UnsafePathError(answer.message);
  if (answer.kind === 'failed' && answer.code === 'ENOSPC' && isDisk) throw new InstanceDiskFullError(answer.message);
  if (answer.kind === 'failed') throw Object.assign(new Error(answer.message), { code: answer.code });
}
