import type { Command } from 'commander';
import { oneOf } from '../base/parse.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** What can follow some words. */
interface Completion {
  /** Such as `inbox mark`; empty for the program itself. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
}

/** `tidemark completion`. */
export function completionCommand(host: Host): Command {
  const made = command({
    usage: 'completion <shell>',
    summary: `Print a script that completes commands and options: ${SHELLS.join(', ')}`,
    examples: [
      'source <(tidemark completion bash)',
      'tidemark completion zsh > ~/.zfunc/_tidemark',
      'tidemark completion fish > ~/.config/fish/completions/tidemark.fish',
    ],
  });
  return does(made, host, async ({ output }, _options, [shell = '']) => {
    const program = made.parent;
    if (!program) return;
    const scripts = { bash, zsh, fish };
    const completions = completionsOf(program, '', optionsOf(program));
    await output.line(scripts[oneOf('shell', SHELLS)(shell)](completions));
  });
}

function completionsOf(made: Command, path: string, shared: Completion['words']): Completion[] {
  const below = made.commands.filter((one) => one.name() !== 'exit-codes');
  const own = below.map((one) => ({ word: one.name(), help: one.summary() }));
  return [
    { path, words: [...own, ...(path === '' ? [] : optionsOf(made)), ...shared] },
    ...below.flatMap((one) => completionsOf(one, `${path} ${one.name()}`.trim(), shared)),
  ];
}

function optionsOf(made: Command): Completion['words'] {
  return made.options.flatMap(({ long, description }) =>
    long ? [{ word: long, help: description }] : [],
  );
}

/** The words before the cursor that are no options are the path. */
function bash(completions: readonly Completion[]): string {
  const cases = completions.map(
    ({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`,
  );
  return `_tidemark() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    case " ${paths(completions)} " in *" \${path:+$path/}$word "*) path=\${path:+$path/}$word ;; esac
  done
  case \${path//\\// } in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ $current != -* ]] && COMPREPLY+=($(compgen -f -- "$current"))
}
complete -F _tidemark tidemark`;
}

function zsh(completions: readonly Completion[]): string {
  return `#compdef tidemark
autoload -U +X bashcompinit && bashcompinit
${bash(completions)}`;
}

function fish(completions: readonly Completion[]): string {
  const lines = completions.flatMap(({ path, words }) => {
    const condition =
      path === ''
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${path.split(' ').at(-1)}`;
    return words.map(({ word, help }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c tidemark -n '${condition}' ${what} -d '${help.replaceAll("'", '’')}'`;
    });
  });
  return [...new Set(lines)].join('\n');
}

/** Every path with a slash between its words. */
function paths(completions: readonly Completion[]): string {
  return completions
    .map(({ path }) => path.replaceAll(' ', '/'))
    .filter((path) => path !== '')
    .join(' ');
}
