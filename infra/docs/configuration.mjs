// Writes libs/config/CONFIGURATION.md from the tables in libs/config, or with --check tells
// whether it is up to date (exit code 1 when not).

import { readFileSync, writeFileSync } from 'node:fs';
import {
  commandLine,
  common,
  gateway,
  ingest,
  launcher,
  relay,
  replay,
  stream,
} from '@tidemark/config';

const TARGET = new URL('../../libs/config/CONFIGURATION.md', import.meta.url);

const sections = [
  ['Every service', common, {}],
  ['Ingest', ingest, common],
  ['Gateway', gateway, common],
  ['Replay', replay, { ...common, ...stream }],
  ['The stream (read by replay, which owns it)', stream, {}],
  ['The relay of an outbox (of every service it has only those that are named here)', relay, {}],
  ['The launcher behind `npm start` and `npm test`', launcher, {}],
  ['The command line `tidemark`', commandLine, {}],
];

const text = `# Configuration

\`npm run docs:config\` generates this page from the tables in \`src/*-settings.ts\`. Settings are environment
variables, read once at the start. A variable that begins with \`TIDEMARK_\` and is not listed here
stops the start, with a suggestion. A secret can be read from a file: \`<variable>_FILE\`. Telemetry
settings of OpenTelemetry keep their standard names.

${sections.map(render).join('\n')}`;

if (process.argv.includes('--check')) {
  if (readFileSync(TARGET, 'utf8') !== text) {
    console.error('libs/config/CONFIGURATION.md is out of date: npm run docs:config');
    process.exit(1);
  }
} else {
  writeFileSync(TARGET, text);
}

function render([title, table, known]) {
  const rows = Object.entries(table)
    .filter(([name]) => !(name in known))
    .map(([, setting]) => {
      const { variable, meaning } = setting;
      return `| \`${variable}\` | ${describeDefault(setting)} | ${describeRange(setting)} | ${meaning} |`;
    });
  return `## ${title}\n\n| variable | default | values | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function describeDefault({ type, default: value }) {
  if (type === 'secret' || value === '') return '';
  return `\`${value}\``;
}

function describeRange({ type, choices, min, max, unit }) {
  if (type === 'choice') return choices.join(', ');
  if (type !== 'integer') return type;
  return max === undefined ? `at least ${min}, in ${unit}` : `${min} to ${max}, in ${unit}`;
}
