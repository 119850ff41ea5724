import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { canMount, mountSmallDisk, type SmallDisk } from '../../support/small-disk.ts';

const NATS_MB = 192;
const ARCHIVE_MB = 64;

/** Disks of some processes, which faults fill. There are none where nothing can be mounted. */
export class Disks {
  readonly #disks = new Map<string, SmallDisk>();

  static async mount(nats: readonly string[], archives: readonly string[]): Promise<Disks> {
    const disks = new Disks();
    if (!canMount()) return disks;
    for (const name of nats) disks.#disks.set(name, await mountSmallDisk(NATS_MB));
    for (const name of archives) disks.#disks.set(name, await mountSmallDisk(ARCHIVE_MB));
    process.once('exit', () => {
      for (const { folder } of disks.#disks.values()) spawnSync('umount', ['-l', folder]);
    });
    return disks;
  }

  /** The processes that have one. */
  get names(): string[] {
    return [...this.#disks.keys()];
  }

  get(name: string): SmallDisk | undefined {
    return this.#disks.get(name);
  }

  /** A path on the disk of a process; `undefined` where it has none. */
  path(name: string, file: string): string | undefined {
    const disk = this.#disks.get(name);
    return disk && join(disk.folder, file);
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#disks.values()].map((disk) => disk.remove()));
    this.#disks.clear();
  }
}
