import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { freePorts } from '../test/support/free-ports.ts';
import { startOutboxRelay } from '../test/support/outbox.ts';
import { type System, startSystem } from '../test/support/system.ts';
import { until } from '../test/support/until.ts';

/*
 * What can be known of the stack without a container engine. What needs a program that this machine
 * lacks is skipped: `apt-get install prometheus` brings promtool.
 */

const ROOT = join(import.meta.dirname, '..');
const HAS_PROMTOOL = spawnSync('promtool', ['--version']).status === 0;
const HAS_PROMETHEUS = spawnSync('prometheus', ['--version']).status === 0;

describe.skipIf(!HAS_PROMTOOL)('prometheus (needs promtool)', () => {
  test('promtool: configuration and rules: are valid', () => {
    promtool('check', 'config', at('infra/prometheus/prometheus.yml'));
  });

  test('promtool: series of an ill system, of a well one: every alert fires, none does', () => {
    promtool('test', 'rules', at('infra/prometheus/alerts.test.yml'));
    const tested = read('infra/prometheus/alerts.test.yml');
    for (const alert of alertNames()) expect(tested).toContain(`alertname="${alert}"`);
  });
});

test('runbook: each alert: has a section that says what to do', () => {
  const runbook = read('infra/README.md');
  for (const alert of alertNames()) expect(runbook).toContain(`### ${alert}\n`);
});

test('runbook: each setting that it names: is one', () => {
  const named = read('infra/README.md').match(/\bTIDEMARK_[A-Z_]+/g) ?? [];
  const files = ['libs/config/CONFIGURATION.md', 'docker-compose.yml', 'infra/nats/users.conf'];
  const known = files.map(read).join('\n');
  // A secret may also be in a file.
  const isKnown = (name: string) => known.includes(name.replace(/_FILE$/, ''));
  expect(named.filter((name) => !isKnown(name))).toEqual([]);
});

describe('metrics', () => {
  let system: System;
  beforeAll(async () => {
    // The parent of several processes has metrics of its own.
    system = await startSystem({ env: { TIDEMARK_GATEWAY_PROCESSES: '2' } });
  });
  afterAll(() => system?.stop());

  test('dashboard and alerts: each metric that they ask for: is one that exists', async () => {
    const exposed = new Set<string>();
    // Its metrics are there before its database is.
    const relay = await startOutboxRelay({ url: 'sqlite:/absent/outbox.db' }, system);
    for (const { url } of [system.ingest, system.gateway, system.replay, relay]) {
      const text = await (await fetch(`${url}/metrics`)).text();
      for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
        const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
        for (const suffix of suffixes) exposed.add(`${name}${suffix}`);
      }
    }
    await relay.stop();
    const runbook = read('infra/README.md').match(/`gateway_\w+`/g) ?? [];
    const named = runbook.map((name) => `tidemark_${name.slice(1, -1)}`);
    const asked = [...expressions()].flatMap((text) => text.match(METRIC_NAME) ?? []).concat(named);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((name) => !exposed.has(name))).toEqual([]);
  });

  test.skipIf(!HAS_PROMETHEUS)(
    'a real Prometheus (needs prometheus): scrapes each service, answers each query',
    async () => {
      const prometheus = await startPrometheus(system);
      try {
        await until(async () => (await prometheus.query('sum(up)'))[0]?.value[1] === '3');
        for (const expression of expressions()) await prometheus.query(expression);
        expect(await prometheus.query('sum(tidemark_gateway_connections)')).toHaveLength(1);
      } finally {
        await prometheus.stop();
      }
    },
  );
});

interface Sample {
  readonly value: readonly [number, string];
}

/** With the configuration that is shipped, except for where the services answer, and how often. */
async function startPrometheus({ gateway, ingest, replay }: System) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-prometheus-'));
  const config = read('infra/prometheus/prometheus.yml')
    .replace(/gateway-1:\d+, gateway-2:\d+/, `127.0.0.1:${gateway.port}`)
    .replace(/ingest:\d+/, `127.0.0.1:${ingest.port}`)
    .replace(/replay:\d+/, `127.0.0.1:${replay.port}`)
    .replaceAll('15s', '1s');
  writeFileSync(join(folder, 'prometheus.yml'), config);
  writeFileSync(join(folder, 'alerts.yml'), read('infra/prometheus/alerts.yml'));
  const [port] = await freePorts(1);
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok ?? false);
  return {
    async query(expression: string): Promise<readonly Sample[]> {
      const response = await fetch(
        `${url}/api/v1/query?${new URLSearchParams({ query: expression })}`,
      );
      const { status, error, data } = (await response.json()) as {
        status: string;
        error?: string;
        data?: { result: readonly Sample[] };
      };
      expect(status, `${expression}: ${error}`).toBe('success');
      return data?.result ?? [];
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      process.off('exit', killAtExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const METRIC_NAME = /\b(?:tidemark|nodejs|process)_[a-z0-9_]+/g;

function expressions(): string[] {
  const dashboard = JSON.parse(read('infra/grafana/dashboards/tidemark.json')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const shown = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  return [...shown, ...alerts().map(({ expr }) => expr)];
}

function alerts(): readonly { readonly alert: string; readonly expr: string }[] {
  return parse(read('infra/prometheus/alerts.yml')).groups[0].rules;
}

function alertNames(): string[] {
  return alerts().map(({ alert }) => alert);
}

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args);
  expect(status, `${stdout}${stderr}`).toBe(0);
}

function read(path: string): string {
  return readFileSync(at(path), 'utf8');
}

function at(path: string): string {
  return join(ROOT, path);
}
