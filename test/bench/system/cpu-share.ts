import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Unverified } from './measurement.ts';
import { processTree } from './process-figures.ts';

/** How often a share begins anew. The kernel takes no share of less than a millisecond. */
const PERIOD_US = 20_000;

/** Where the kernel's control groups are: of version 1 with a folder for each controller, of version 2 in one. */
const GROUPS = '/sys/fs/cgroup';

/**
 * Holds a process and its children to a part of a core, together, as on a smaller machine. A child that is started later is held too.
 *
 * @returns ends it
 * @throws Unverified where this process may not make control groups, which takes root and a file system that can be written to
 */
export function holdToShare(pid: number, cores: number): () => void {
  const isFirstVersion = existsSync(join(GROUPS, 'cpu'));
  const parent = isFirstVersion ? join(GROUPS, 'cpu') : GROUPS;
  const group = join(parent, `tidemark-bench-${pid}`);
  const move = (to: string): void => {
    for (const one of processTree(pid)) writeFileSync(join(to, 'cgroup.procs'), String(one));
  };
  const quotaUs = Math.round(cores * PERIOD_US);
  try {
    if (!isFirstVersion) writeFileSync(join(parent, 'cgroup.subtree_control'), '+cpu');
    mkdirSync(group);
    if (isFirstVersion) {
      writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quotaUs));
    } else writeFileSync(join(group, 'cpu.max'), `${quotaUs} ${PERIOD_US}`);
    move(group);
  } catch (error) {
    throw new Unverified(`processes cannot be held to a share: ${(error as Error).message}`);
  }
  return () => {
    move(parent);
    rmdirSync(group);
  };
}
