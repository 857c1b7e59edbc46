import { Command, CommanderError } from 'commander';
import { ApiConnectionError, ApiError, ThermidoraError } from '../src/index.ts';
import { addConsole, addEvents, addKeys } from './commands/account.ts';
import { addMoney } from './commands/budgets.ts';
import { addChat } from './commands/chat.ts';
import { addCompletion } from './commands/completion.ts';
import { addCrons, addSecrets, addSkills } from './commands/content.ts';
import { addDoctor } from './commands/doctor.ts';
import { addFiles } from './commands/files.ts';
import { addAgents, addInstances } from './commands/instances.ts';
import { addOperator } from './commands/operator.ts';
import { addSignIn } from './commands/sign-in.ts';
import { addWebhooks } from './commands/webhooks.ts';
import { createContext } from './context.ts';
import { EXIT, printable, UserError } from './io.ts';
import type { Io } from './io.ts';

/** Runs a command and answers its exit code (io.ts). Mistakes and refusals are a sentence on the error output, never a stack. */
export async function runCommand(args: readonly string[], io: Io, signal: AbortSignal): Promise<number> {
  const program = new Command('thermidora')
    .description('Run AI agents: instances, agents, messages, events.')
    .option('--json', 'write JSON, for scripts')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  const context = createContext(program, io, signal);
  for (const add of [
    ...[addSignIn, addInstances, addAgents, addChat, addFiles, addSkills, addSecrets, addCrons],
    ...[addWebhooks, addEvents, addMoney, addKeys, addConsole, addDoctor, addOperator, addCompletion],
  ])
    add(program, context);
  inheritOutput(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    return explain(error, io);
  }
}

/** Gives subcommands the error handling and output of the program, which Commander does not inherit to commands that were added. */
function inheritOutput(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inheritOutput(child);
  }
}

function explain(error: unknown, io: Io): number {
  // Commander has printed its message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UserError) return say(io, error.message, error.exitCode);
  if (error instanceof ApiConnectionError) return say(io, error.message, EXIT.notNow);
  if (error instanceof ApiError) {
    const details = error.details.map(({ path, message }) => `\n  ${path}: ${message}`).join('');
    const id = error.requestId === undefined ? '' : ` (request ${error.requestId})`;
    return say(io, `${error.message}${id}${details}`, exitCodeOf(error));
  }
  if (error instanceof ThermidoraError) return say(io, error.message, EXIT.failed);
  throw error;
}

function exitCodeOf({ status, retryable }: ApiError): number {
  if (status === 401 || status === 403) return EXIT.credentials;
  if (status === 404) return EXIT.notFound;
  if (status === 400) return EXIT.usage;
  return retryable ? EXIT.notNow : EXIT.failed;
}

function say({ stderr }: Io, message: string, exitCode: number): number {
  stderr.write(`${printable(message)}\n`);
  return exitCode;
}
