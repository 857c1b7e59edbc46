import { claimLeft, forgetLeft } from '../../../database/messages/waiting-attachments.ts';
import type { Deps } from '../../deps.ts';
import { removeFiles } from './put-attachments.ts';

/** Removes attachments of messages that were never accepted, because a process died in between. Those that cannot be reached are tried again in an hour. */
export async function removeLeftAttachments({ orm, files, log }: Pick<Deps, 'orm' | 'files' | 'log'>): Promise<void> {
  for (const { requestMessageId, paths, ...place } of await claimLeft(orm.em.fork()))
    try {
      await removeFiles({ files }, place, paths);
      await forgetLeft(orm.em.fork(), requestMessageId);
    } catch (err) {
      log.info({ err, requestMessageId }, 'the attachments of a message that was not accepted could not be removed yet');
    }
}
