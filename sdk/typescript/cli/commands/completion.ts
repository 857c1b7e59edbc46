import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { UserError } from '../io.ts';

const SCRIPTS: Record<string, string> = {
  bash: `_thermidora() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(thermidora __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _thermidora thermidora
`,
  zsh: `#compdef thermidora
_thermidora() {
  compadd -- \${(f)"$(thermidora __complete "\${(@)words[2,$CURRENT]}" 2>/dev/null)"}
}
compdef _thermidora thermidora
`,
  fish: `complete -c thermidora -f -a '(thermidora __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
};

/** `completion`: a script for a shell, which asks this program for what may follow. */
export function addCompletion(program: Command, context: Context): void {
  program
    .command('completion')
    .description('Write the completion script of a shell: eval "$(thermidora completion bash)"')
    .argument('<shell>', 'bash, zsh or fish')
    .action((shell: string) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined) throw new UserError(`There is no completion for ${shell}, only for bash, zsh and fish.`);
      context.io.stdout.write(script);
    });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action((words: string[]) => {
      for (const candidate of candidates(program, words)) context.io.stdout.write(`${candidate}\n`);
    });
}

/** The candidates for the last of these words. */
export function candidates(program: Command, words: readonly string[]): string[] {
  let command = program;
  for (const word of words.slice(0, -1)) command = command.commands.find((one) => one.name() === word) ?? command;
  const last = words.at(-1) ?? '';
  const names = command.commands.map((one) => one.name()).filter((name) => !name.startsWith('_'));
  const options = [...command.options, ...program.options].flatMap(({ long }) => (long ? [long] : []));
  const all = last.startsWith('-') ? [...new Set([...options, '--help'])] : names;
  return all.filter((one) => one.startsWith(last));
}
