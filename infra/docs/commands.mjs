// Writes cli/COMMANDS.md from the help texts of the command line, or with --check tells whether it is up to
// date (exit code 1 when not).

import { readFileSync, writeFileSync } from 'node:fs';
import { createProgram, everyCommand, exitCodeLines } from '../../cli/dist/program.js';

const TARGET = new URL('../../cli/COMMANDS.md', import.meta.url);

/** Of the terminal that the help texts are for. */
const COLUMNS = 100;

/** What a command is told of its process; none of it is used to print help. */
const nowhere = { columns: COLUMNS, isTTY: false, write: () => true };
const host = {
  environment: {},
  stdin: nowhere,
  stdout: nowhere,
  stderr: nowhere,
  signal: new AbortController().signal,
};

const program = createProgram(host);
const commands = everyCommand(program).filter((command) => command.name() !== 'exit-codes');

const text = `# The command line

\`npm run docs:commands\` generates this page from the help texts. \`npx tidemark <command> --help\` shows the same.

## Exit codes

\`\`\`
${exitCodeLines().join('\n')}
\`\`\`

${commands.map(render).join('\n\n')}
`;

if (process.argv.includes('--check')) {
  if (readFileSync(TARGET, 'utf8') !== text) {
    console.error('cli/COMMANDS.md is out of date: npm run docs:commands');
    process.exit(1);
  }
} else {
  writeFileSync(TARGET, text);
}

/** @param {any} command */
function render(command) {
  const names = [];
  for (let one = command; one; one = one.parent) names.unshift(one.name());
  let help = '';
  command.configureOutput({ writeOut: (part) => (help += part), getOutHelpWidth: () => COLUMNS });
  command.outputHelp();
  return `## ${names.join(' ')}\n\n\`\`\`\n${help.trim()}\n\`\`\``;
}
