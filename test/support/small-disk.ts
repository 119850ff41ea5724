import { spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, statfs, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHUNK = Buffer.alloc(64 * 1024);

/** A file system of some MB that a test can fill. */
export interface SmallDisk {
  readonly folder: string;
  /** Writes a file of its own until so many bytes are left. */
  fill(leftBytes: number): Promise<void>;
  /** Removes that file. */
  free(): Promise<void>;
  /** Removes the file system. Nothing may be open in it. */
  remove(): Promise<void>;
}

/** Mounting takes Linux and root, or a user name space of one's own. */
export function canMount(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && mounts();
}

/** Mounts a file system in memory. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-disk-'));
  run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tidemark', folder]);
  const filler = join(folder, 'filler');
  return {
    folder,
    async fill(leftBytes) {
      const file = await open(filler, 'a');
      try {
        for (;;) await file.write(CHUNK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
      const { size } = await file.stat();
      await file.close();
      await truncate(filler, Math.max(0, size - leftBytes));
      const { bavail, bsize } = await statfs(folder);
      if (bavail * bsize > leftBytes + CHUNK.length) throw new Error('The disk is not full.');
    },
    free: () => rm(filler),
    async remove() {
      run('umount', [folder]);
      await rm(folder, { recursive: true });
    },
  };
}

function mounts(): boolean {
  const command = 'mount -t tmpfs -o size=1m tidemark /mnt && umount /mnt';
  return spawnSync('unshare', ['--mount', 'sh', '-c', command]).status === 0;
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
}
