/*
 * Imported first by every script, because an old Node cannot run what comes after. So this file
 * keeps to what such a Node understands.
 */
const OLDEST_MAJOR = 22;
const OLDEST_MINOR = 15;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_MAJOR || (major === OLDEST_MAJOR && minor < OLDEST_MINOR)) {
  console.error(
    `tidemark: Node ${process.versions.node} is too old; install Node ${OLDEST_MAJOR}.${OLDEST_MINOR} or newer from https://nodejs.org.`,
  );
  process.exit(1);
}
