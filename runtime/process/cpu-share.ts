import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '../../lib/errno.ts';

/**
 * Of autogroups, on the scale of nice(1): a gateway gets a third of what the control plane gets, as run-gateway.sh has it begin. A small
 * one gets a tenth of any other gateway's, so that it still gets on where these never rest.
 */
const NICE = { small: 15, usual: 5 };
/** The kernel takes one change in a tenth of a second from users other than root. */
const PAUSE_MS = 110;
const TRIES = 20;
/** There are no autogroups here, they are not ours to change, or the process has ended. */
const IMPOSSIBLE = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EINVAL', 'ESRCH'];

/**
 * Gives the session of this process, which a gateway has to itself, a small share of the CPU time beside all others, or the
 * usual one. Linux shares it out among sessions (autogroups), and unlike the niceness of a process that of a session can be put
 * back without privileges. Changes nothing where there are none, as in a container with a share of its own. Throws when the kernel
 * keeps asking to come back later.
 */
export async function shareCpu(pid: number, share: keyof typeof NICE): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await writeFile(`/proc/${pid}/autogroup`, String(NICE[share]));
    } catch (error) {
      if (IMPOSSIBLE.some((code) => isErrno(error, code))) return;
      if (!isErrno(error, 'EAGAIN') || tried === TRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
