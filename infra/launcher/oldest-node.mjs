/* An old Node runs this file too. So it uses only what such a Node understands. */

/** The oldest Node that runs Tidemark; `engines` in package.json names it as well. */
export const OLDEST = '22.15';

/** @param {string} version such as `22.15.0` */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST.split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}
