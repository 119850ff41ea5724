import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gateway, ingest, launcher, NODE_ARGUMENTS, relay, replay } from '@tidemark/config';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

/* These files cannot import the defaults of libs/config; so they are compared with them and with each other. */

const COMPOSE = readYaml('../docker-compose.yml');
const PORTS = { gateway: gateway.port, ingest: ingest.port, replay: replay.port };
const CONTAINERS = { gateway: ['gateway-1', 'gateway-2'], ingest: ['ingest'], replay: ['replay'] };
const SERVICES = ['gateway', 'ingest', 'replay'] as const;

test.each(SERVICES)('%s: its port in docker-compose.yml and in nginx: is the default', (name) => {
  const upstreams = read('nginx/upstreams.conf');
  for (const container of CONTAINERS[name]) {
    expect(COMPOSE.services[container].environment).not.toHaveProperty(PORTS[name].variable);
    expect(upstreams).toMatch(new RegExp(`server ${container}:${PORTS[name].default}[ ;]`));
  }
});

test.each(SERVICES)('%s: its admin port in Prometheus: is that of docker-compose.yml', (name) => {
  const jobs: readonly { job_name: string; static_configs: { targets: string[] }[] }[] = readYaml(
    'prometheus/prometheus.yml',
  ).scrape_configs;
  const variable = `TIDEMARK_${name.toUpperCase()}_ADMIN_PORT`;
  const targets = CONTAINERS[name].map(
    (container) => `${container}:${COMPOSE.services[container].environment[variable]}`,
  );
  expect(jobs.find((job) => job.job_name === name)?.static_configs[0]?.targets).toEqual(targets);
});

test('relay: its port in Prometheus: is the default', () => {
  const jobs: readonly { job_name: string; dns_sd_configs: object[] }[] = readYaml(
    'prometheus/prometheus.yml',
  ).scrape_configs;
  const [found] = jobs.find((job) => job.job_name === 'relay')?.dns_sd_configs ?? [];
  expect(found).toEqual({ names: ['relay'], type: 'A', port: relay.port.default });
  expect(COMPOSE.services.relay.environment).not.toHaveProperty(relay.port.variable);
});

test.each([
  ['listen.conf', '../docker-compose.yml'],
  ['listen-tls.conf', 'compose.tls.yml'],
])('nginx: the port in %s: is published and health-checked by %s', (listen, file) => {
  const port = /^listen (\d+)/m.exec(read(`nginx/${listen}`))?.[1];
  const { ports, healthcheck } = readYaml(file).services.nginx;
  expect(ports[0]).toMatch(new RegExp(`:-${port}}:${port}$`));
  expect(healthcheck.test.at(-1)).toContain(`//127.0.0.1:${port}/healthz`);
});

test('Jaeger: the ports in its configuration: are those of docker-compose.yml and the launcher', () => {
  const jaeger = read('jaeger/jaeger.yaml');
  const { default: port } = launcher.jaegerPort;
  expect(jaeger).toContain(`JAEGER_QUERY_PORT:-${port}}`);
  expect(COMPOSE.services.jaeger.ports).toEqual([`127.0.0.1:${port}:${port}`]);
  const { port: otlp } = new URL(COMPOSE.services.ingest.environment.OTEL_EXPORTER_OTLP_ENDPOINT);
  expect(jaeger).toContain(`JAEGER_OTLP_PORT:-${otlp}}`);
});

test('NATS: the port in docker-compose.yml: is the default', () => {
  expect(COMPOSE.services.ingest.environment.NATS_URL).toContain(
    `nats://nats:${launcher.natsPort.default}}`,
  );
});

function readYaml(path: string) {
  return parse(read(path), {
    merge: true,
    customTags: [{ tag: '!override', collection: 'seq', resolve: (value: unknown) => value }],
  });
}

function read(path: string): string {
  return readFileSync(join(import.meta.dirname, path), 'utf8');
}

test('Dockerfile: the arguments of Node: are those of the launcher', () => {
  expect(read('docker/Dockerfile')).toContain(`exec node ${NODE_ARGUMENTS.join(' ')} services/`);
});
