#!/bin/sh
# Makes the tree of one image from a built checkout: the service, the libraries that it depends on,
# and their dependencies, without sources, tests and what only a build needs.
#   sh infra/docker/tree.sh <service> <target folder>
set -eu
service=$1
target=$2

mkdir -p "$target"
cp package.json package-lock.json .npmrc "$target"
for part in libs/* "services/$service"; do
  mkdir -p "$target/$part"
  cp "$part/package.json" "$target/$part"
  cp -r "$part/dist" "$target/$part"
done
# The gateway serves the console.
if [ "$service" = gateway ] && [ -d console/dist ]; then
  mkdir -p "$target/console"
  cp -r console/dist "$target/console"
fi
cp infra/docker/health.mjs "$target"

cd "$target"
# The tree lacks the other services, so npm leaves out what only they depend on.
npm pkg set --json 'workspaces=["libs/*", "services/'"$service"'"]'
npm pkg delete devDependencies scripts.start
npm ci --omit=dev --no-audit --no-fund --workspace "@tidemark/$service"

# SQLite's sources, its builds for other systems, and libraries that this service does not use.
rm -rf node_modules/better-sqlite3/deps node_modules/better-sqlite3/src node_modules/.cache
rm -f node_modules/better-sqlite3/prebuilds/darwin-* node_modules/better-sqlite3/prebuilds/win32-*
find . -name '*.tsbuildinfo' -o -name '*.d.ts' -o -name '*.d.ts.map' -o -name '*.js.map' | xargs rm -f
