import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { eventually } from '../support/eventually.ts';

/** A real SMTP server that keeps what it is given. */
export interface Mailbox {
  url: string;
  mails: readonly string[];
  /** The code in the last mail to this address, once there are so many. */
  codeFor(email: string, count?: number): Promise<string>;
  close(): Promise<void>;
}

export async function startMailbox(): Promise<Mailbox> {
  const mails: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, _session, done) {
      text(stream).then(
        (mail) => {
          mails.push(mail);
          done();
        },
        (error: Error) => done(error),
      );
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  // A server that listens on a port has an address of this kind.
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    codeFor: (email, count = 1) =>
      eventually(() => {
        const own = mails.filter((mail) => mail.includes(`To: ${email}`));
        const code = /code is (\d{6})/.exec(own.at(-1) ?? '')?.[1];
        if (own.length < count || code === undefined) throw new Error(`${own.length} mails to ${email}, not ${count}`);
        return code;
      }),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
