import type { Log } from '../log.ts';

const PATIENCE_MS = 10_000;

export interface MailMessage {
  to: string;
  subject: string;
  text: string;
}

export interface Mail {
  /** Hands the mail to the SMTP server. Throws when it is not taken within some ten seconds. */
  send(message: MailMessage): Promise<void>;
}

interface MailOptions {
  /** `smtp://` or `smtps://`, or `print:`: the mail, with its code, is written to the log instead. */
  url: string;
  from: string;
  log: Log;
}

/** Mail by the SMTP server of the settings. */
export function createMail({ url, from, log }: MailOptions): Mail {
  if (url === 'print:')
    return {
      async send({ to, subject, text }) {
        log.info(`Mail to ${to}: ${subject}\n${text}`);
      },
    };
  const timeouts = { connectionTimeout: PATIENCE_MS, greetingTimeout: PATIENCE_MS, socketTimeout: PATIENCE_MS };
  return {
    async send(message) {
      // Loaded with the first mail: a tenth of an idle API's memory.
      const { createTransport } = await import('nodemailer');
      await createTransport({ url, ...timeouts }).sendMail({ from, ...message });
    },
  };
}
