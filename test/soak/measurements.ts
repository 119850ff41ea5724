import { existsSync, readFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import type { Service } from '../support/services.ts';
import type { System } from '../support/system.ts';

/** The values of one moment, by process and name, such as `gateway memory`. */
export type Values = ReadonlyMap<string, number>;

/** Reads every value that must stay flat. */
export async function measure(system: System, nats: NatsConnection): Promise<Values> {
  const values = new Map<string, number>();
  for (const service of [system.gateway, system.ingest, system.replay]) {
    const { name, pid } = service;
    const metrics = await scrape(service);
    values.set(`${name} memory`, anonymousBytes(pid) ?? metrics('process_resident_memory_bytes'));
    values.set(`${name} descriptors`, metrics('process_open_fds'));
    values.set(`${name} timers`, metrics('nodejs_active_resources', 'type="Timeout"'));
    values.set(`${name} loopDelayMs`, 1000 * metrics('nodejs_eventloop_lag_p99_seconds'));
  }
  const { streams } = await jetstreamManager(nats);
  values.set('nats consumers', (await streams.info(STREAM_NAME)).state.consumer_count);
  return values;
}

/** @returns reads a metric, and the value of the one with a label where there are several; else 0 */
async function scrape({ url }: Service): Promise<(name: string, label?: string) => number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n');
  return (name, label = '') => {
    const line = lines.find((one) => one.startsWith(`${name}{`) && one.includes(label));
    return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ')));
  };
}

/**
 * Memory of a process without the files that it maps: replay maps its archive, which grows.
 *
 * @returns `undefined` on systems without `/proc`
 */
function anonymousBytes(pid: number): number | undefined {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  const kib = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(file, 'utf8'))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
