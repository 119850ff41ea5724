import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkHistory } from './files.ts';

const USAGE = `npm run chaos:check -- <folder>   checks the history of a chaos run

  <folder> has final.jsonl and other *.jsonl, as test/chaos/history.ts says. The exit code is 1 where
  the run broke a promise.`;

const [folder] = process.argv.slice(2);
if (folder === undefined || folder.startsWith('-')) {
  console.error(USAGE);
  process.exit(2);
}

if (!existsSync(join(folder, 'final.jsonl'))) {
  console.error(`${folder} has no final.jsonl.`);
  process.exit(2);
}

const { first, ...rest } = await checkHistory(folder);
if (first) {
  process.exitCode = 1;
  console.log(`The first violation:\n\n${first.timeline.join('\n')}\n`);
}
console.log(JSON.stringify(rest, undefined, 2));
