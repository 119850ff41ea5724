#!/usr/bin/env node
import { existsSync } from 'node:fs';

const MAIN = new URL('../dist/main.js', import.meta.url);
const OLDEST_NODE = [22, 15];

// Before anything is loaded: an older Node fails at a syntax error, which helps nobody.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(`tidemark: Node ${process.versions.node} is too old; 22.15 or newer is needed.`);
  process.exitCode = 1;
} else if (existsSync(MAIN)) {
  await import(MAIN.href);
} else {
  console.error(
    'tidemark: The build is missing; `npm start` or `npm ci && npm run build` makes it.',
  );
  process.exitCode = 1;
}
