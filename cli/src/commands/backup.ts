import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { writeChecksums } from '../backups/checksums.ts';
import { pack, sizeOf } from '../backups/pack.ts';
import { withWorkFolder } from '../backups/work-folder.ts';
import { usageError } from '../base/errors.ts';
import { runProgram } from '../base/run-program.ts';
import { formatBytes } from '../output/format.ts';
import { Progress } from '../output/progress.ts';
import { localDataFolder } from '../profile/local.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';
import { natsEnvironment } from '../session/nats-environment.ts';

interface Options {
  readonly archive?: string;
  readonly withoutArchive?: boolean;
  readonly force?: boolean;
}

/** `tidemark backup`. */
export function backupCommand(host: Host): Command {
  const made = command({
    usage: 'backup <file>',
    summary:
      'Copy the stream, the revocations and the archive into one file, while everything runs',
    description:
      'The file is a tar; with .gz or .tgz at its end it is compressed. It needs NATS, with a user like tidemark-operator, the file of an archive on this machine, and room for twice its size beside it. The file holds a sum of each part, which restore verifies.',
    examples: [
      'tidemark backup tidemark.tar',
      'tidemark backup /backups/$(date +%F).tgz --archive /var/lib/tidemark/archive.db',
      'tidemark backup tidemark.tar --without-archive --profile production',
    ],
  })
    .option(
      '--archive <file>',
      'the archive of a replay service; that of npm start, or TIDEMARK_REPLAY_DATABASE, if absent',
    )
    .option('--without-archive', 'only the stream and the revocations')
    .option('--force', 'replace the file where there is one');
  return does<Options>(made, host, async (context, options, [given = '']) => {
    const { output, signal } = context;
    const file = resolve(given);
    if (existsSync(file) && !options.force)
      throw usageError(`${file} exists; --force replaces it.`);
    const environment = await natsEnvironment(context);
    if (!environment) throw usageError('Nothing names a NATS: NATS_URL, or the nats of a profile.');
    const archive = await archiveArguments(context, options);
    const progress = new Progress(output, 'Backup');
    await withWorkFolder(file, async (work) => {
      const folder = join(work, 'backup');
      await runProgram({
        path: 'infra/backup/backup.mjs',
        args: ['--to', folder, ...archive],
        environment,
        signal,
        onLine: (line) => progress.show(undefined, line.trim()),
      });
      const total = sizeOf(folder);
      let read = 0;
      await writeChecksums(folder, (bytes) => {
        signal.throwIfAborted();
        read += bytes;
        progress.show(read / (2 * total), `summing ${formatBytes(total)}`);
      });
      await pack(folder, file, (done, all) => {
        signal.throwIfAborted();
        progress.show(0.5 + done / (2 * all), `packing ${formatBytes(all)}`);
      });
    }).finally(() => progress.clear());
    const { size } = statSync(file);
    if (output.json) return output.data({ file, bytes: size });
    output.message(`The backup has ${formatBytes(size)}. tidemark restore --check verifies it.`);
    await output.line(file);
  });
}

async function archiveArguments(
  { environment, target }: Context,
  { archive, withoutArchive }: Options,
): Promise<string[]> {
  if (withoutArchive && archive) throw usageError('--archive and --without-archive contradict.');
  if (withoutArchive) return ['--without-archive'];
  return ['--archive', await archiveFile(archive, environment, (await target()).isLocal)];
}

/** The file of the archive that is named, or that of the local replay service. */
export async function archiveFile(
  named: string | undefined,
  environment: Context['environment'],
  isLocal: boolean,
): Promise<string> {
  if (named) return resolve(named);
  if (environment.TIDEMARK_REPLAY_DATABASE) return resolve(environment.TIDEMARK_REPLAY_DATABASE);
  if (isLocal) return join(await localDataFolder(environment), 'archive.db');
  throw usageError('--archive is needed, or TIDEMARK_REPLAY_DATABASE.');
}
