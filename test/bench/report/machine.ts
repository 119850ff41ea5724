import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PACKAGES = ['@nats-io/jetstream', '@nats-io/transport-node', 'ws', 'jose', 'express'];
const PEERS = ['socket.io', 'engine.io'];

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${platform()} ${release()} ${arch()}`,
  };
}

/** The versions of all programs and packages that the figures depend on. */
export function describeVersions(): Readonly<Record<string, string>> {
  const binary = process.env.TIDEMARK_NATS_SERVER_BIN || 'nats-server';
  const nats = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout ?? '';
  const installed = [
    ...PACKAGES.map((name) => [name, `${ROOT}node_modules/${name}`] as const),
    ...PEERS.map((name) => [name, `${ROOT}test/bench/node_modules/${name}`] as const),
  ];
  return {
    tidemark: commit(),
    node: process.version,
    'nats-server': /\d+\.\d+\.\d+/.exec(nats)?.[0] ?? 'unknown',
    ...Object.fromEntries(
      // The peers are installed for the benchmarks only.
      installed
        .filter(([, folder]) => existsSync(folder))
        .map(([name, folder]) => [name, versionIn(folder)]),
    ),
  };
}

function commit(): string {
  const git = (...args: string[]) => {
    return (spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout ?? '').trim();
  };
  const changed = git('status', '--porcelain', '--', 'libs', 'services') === '' ? '' : ' (changed)';
  return `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed}`;
}

function versionIn(folder: string): string {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).version;
}
