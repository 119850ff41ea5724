import { copyFileSync, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { verifyChecksums } from '../backups/checksums.ts';
import { sizeOf, unpack } from '../backups/pack.ts';
import { withWorkFolder } from '../backups/work-folder.ts';
import { usageError } from '../base/errors.ts';
import { integer } from '../base/parse.ts';
import { runProgram } from '../base/run-program.ts';
import { formatBytes } from '../output/format.ts';
import { Progress } from '../output/progress.ts';
import { command, does } from '../session/command.ts';
import { confirm } from '../session/confirm.ts';
import type { Context, Host } from '../session/context.ts';
import { natsEnvironment } from '../session/nats-environment.ts';
import { archiveFile } from './backup.ts';

interface Options {
  readonly archive?: string;
  readonly keepArchive?: boolean;
  readonly overwrite?: boolean;
  readonly replicas?: number;
  readonly check?: boolean;
  readonly yes?: boolean;
}

/** What a restored folder notes: the epochs in which the log went on from this backup before. */
const RESTORED = 'restored.json';

/** `tidemark restore`. */
export function restoreCommand(host: Host): Command {
  const made = command({
    usage: 'restore <file>',
    summary: 'Make the stream, the revocations and the archive of a backup the present ones',
    description:
      'All replay services have to be stopped. The file is verified before anything is changed. The log goes on in a new epoch: clients at or before the end of the backup go on, and those beyond it are told what is lost. A note of that stands beside the file afterwards, for the case that it is restored again.',
    examples: [
      'tidemark restore tidemark.tar --check',
      'tidemark restore tidemark.tar',
      'tidemark restore tidemark.tar --overwrite --yes',
    ],
  })
    .option('--check', 'only verify the file')
    .option('--archive <file>', 'the file that replay will use')
    .option('--keep-archive', 'leave that file as it is; the backup need not have one')
    .option('--overwrite', 'delete the present stream, and give the present archive another name')
    .option('--replicas <n>', 'copies of the streams in a cluster', integer('--replicas', 1, 5))
    .option('--yes', 'do not ask before --overwrite');
  return does<Options>(made, host, async (context, options, [given = '']) => {
    const file = resolve(given);
    if (!existsSync(file) || !statSync(file).isFile())
      throw usageError(`There is no file ${file}.`);
    await withWorkFolder(file, async (work) => {
      await verify(context, file, work);
      if (options.check) return tell(context, file, 'It is complete and unchanged.');
      await apply(context, options, file, work);
    });
  });
}

async function verify({ output, signal }: Context, file: string, work: string): Promise<void> {
  const progress = new Progress(output, 'Verifying');
  try {
    await unpack(file, work, (done, total) =>
      progress.show(done / (2 * total), `unpacking ${formatBytes(total)}`),
    );
    const total = sizeOf(work);
    let read = 0;
    await verifyChecksums(work, (bytes) => {
      signal.throwIfAborted();
      read += bytes;
      progress.show(0.5 + read / (2 * total), `summing ${formatBytes(total)}`);
    });
  } finally {
    progress.clear();
  }
}

async function apply(context: Context, options: Options, file: string, work: string) {
  const { output, signal } = context;
  const { keepArchive, overwrite, replicas, yes } = options;
  const { isLocal } = await context.target();
  const archive = await archiveFile(options.archive, context.environment, isLocal);
  const environment = await natsEnvironment(context);
  if (!environment) throw usageError('Nothing names a NATS: NATS_URL, or the nats of a profile.');
  if (overwrite)
    await confirm(
      context,
      `Replace the stream at ${environment.NATS_URL} by that of ${file}?`,
      yes,
    );
  const noted = `${file}.${RESTORED}`;
  if (existsSync(noted)) copyFileSync(noted, join(work, RESTORED));
  let last = '';
  await runProgram({
    path: 'infra/backup/restore.mjs',
    args: [
      ...['--from', work, '--archive', archive],
      ...(keepArchive ? ['--keep-archive'] : []),
      ...(overwrite ? ['--overwrite'] : []),
      ...(replicas === undefined ? [] : ['--replicas', String(replicas)]),
    ],
    environment,
    signal,
    onLine: (line) => {
      last = line;
      if (line.startsWith('tidemark: ')) output.error(line);
      else if (!output.json) output.message(line);
    },
  }).finally(() => {
    if (existsSync(join(work, RESTORED))) copyFileSync(join(work, RESTORED), noted);
  });
  if (output.json) await output.data({ file, message: last });
}

async function tell({ output }: Context, file: string, text: string): Promise<void> {
  if (output.json) await output.data({ file, ok: true });
  else output.message(text);
}
