/*
 * Imported first by every script, because an old Node cannot run what comes after. So this file
 * keeps to what such a Node understands.
 */
import { isNewEnough, OLDEST } from './oldest-node.mjs';

if (!isNewEnough(process.versions.node)) {
  console.error(
    `tidemark: Node ${process.versions.node} is too old; run \`npm start\`, which installs a newer one for this checkout, or install Node ${OLDEST} or newer from https://nodejs.org.`,
  );
  process.exit(1);
}
