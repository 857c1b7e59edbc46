import type { Command } from 'commander';
import { Thermidora } from '../../src/index.ts';
import { openQuestions } from '../ask.ts';
import type { Context } from '../context.ts';
import { writeLine } from '../output.ts';
import { findUrl, removeLogin, saveLogin } from '../settings.ts';

/** `login`, `logout`, `whoami`. */
export function addSignIn(program: Command, context: Context): void {
  const { io } = context;
  program
    .command('login')
    .description('Sign in with a code that is sent by mail')
    .option('--email <address>', 'the address of the account')
    .option('--url <url>', 'the API, ending in /v1')
    .action(async (options: { email?: string; url?: string }) => {
      const baseUrl = options.url ?? (await findUrl(io));
      const client = new Thermidora({ baseUrl });
      const questions = openQuestions(io);
      try {
        const email = options.email ?? (await questions.ask('Email: '));
        await client.auth.login({ email });
        const code = await questions.ask(`Code that was sent to ${email}: `);
        const { accountId, token } = await client.auth.verify({ email, code });
        await saveLogin(io, { baseUrl, token });
        writeLine(io, `Signed in to ${baseUrl} as ${accountId} for a day.`);
      } finally {
        questions.close();
      }
    });
  program
    .command('logout')
    .description('End all sign-ins of the account and forget the one of this machine')
    .action(async () => {
      await (await context.client()).auth.logout();
      await removeLogin(io);
      writeLine(io, 'Signed out. API keys remain valid.');
    });
  program
    .command('whoami')
    .description('Show the account and its balance')
    .action(async () => context.show(await (await context.client()).auth.me()));
}
