import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { jetstream } from '@nats-io/jetstream';
import { connect, type Msg } from '@nats-io/transport-node';
import { EventSource } from 'eventsource';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import { githubEvents } from '../support/github-events.ts';
import { ids, metric, numbered, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* Programs and packages that know nothing of Tidemark, used as their manuals say. */

const run = promisify(execFile);

let system: System;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_HEARTBEAT_MS: '200' } });
});
afterAll(() => system.stop());

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('curl', () => {
  async function post(...args: string[]): Promise<{ id: string; cursor: string }> {
    const authorization = `Authorization: Bearer ${system.token}`;
    const url = `${system.ingest.url}/v1/events`;
    const { stdout } = await run('curl', ['-fsS', url, '-H', authorization, ...args]);
    return JSON.parse(stdout);
  }

  /** `curl -N` on the event stream, and its text so far. */
  function follow(...args: string[]): {
    readonly child: ChildProcess;
    readonly text: () => string;
  } {
    const authorization = `Authorization: Bearer ${system.token}`;
    const child = spawn('curl', ['-sSN', '-H', authorization, ...args]);
    cleanups.push(() => child.kill());
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    return { child, text: () => text };
  }

  function eventsOf(text: string): { id: string; cursor: string }[] {
    return [...text.matchAll(/^data: (\{"spec.*\})\nid: (.+)$/gm)].map(
      ([, json = '', cursor = '']) => ({
        id: JSON.parse(json).id,
        cursor,
      }),
    );
  }

  test('publish, receive, cut, publish, resume at the cursor: exactly what was missed', async () => {
    const json = ['-H', 'Content-Type: application/json', '-d'];
    const url = `${system.gateway.url}/v1/sse?topics=curl.*`;
    const first = follow(url);
    await until(() => first.text().includes('event: live'));
    const one = await post(...json, '{"type":"curl.demo","id":"1","data":{"hello":"world"}}');
    await until(() => eventsOf(first.text()).length === 1);
    expect(eventsOf(first.text())).toEqual([{ id: '1', cursor: one.cursor }]);
    first.child.kill();

    await post(...json, '{"type":"curl.demo","id":"2"}');
    const binary = ['-H', 'ce-specversion: 1.0', '-H', 'ce-id: 3', '-H', 'ce-source: /curl'];
    await post(...binary, '-H', 'ce-type: curl.demo', '-H', 'Content-Type: text/plain', '-d', 'x');
    for (const resume of [
      [`${url}&after=${one.cursor}`],
      ['-H', `Last-Event-ID: ${one.cursor}`, url],
    ]) {
      const second = follow(...resume);
      await until(() => second.text().includes('event: live'));
      expect(eventsOf(second.text()).map(({ id }) => id)).toEqual(['2', '3']);
    }
  });
});

describe('the eventsource package', () => {
  test('its gateway restarts in the middle: it comes back by itself, each event once', async () => {
    const gateway = await system.startGateway();
    const query = `topics=source.>&after=earliest&access_token=${system.token}`;
    const source = new EventSource(`${gateway.url}/v1/sse?${query}`);
    cleanups.push(() => source.close());
    const received: string[] = [];
    let opened = 0;
    source.onopen = () => opened++;
    source.onmessage = ({ data }) => received.push(JSON.parse(data).id);
    const publishing = (async () => {
      for (let n = 1; n <= 300; n += 10) {
        await system.publisher.storeAll(series('source.a', n, n + 9));
      }
    })();
    await until(() => received.length > 50);
    await gateway.kill('SIGKILL');
    await publishing;
    await gateway.restart();
    await until(() => received.length >= 300);
    await system.publisher.store(numbered('source.a', 301));
    await until(() => received.includes('301'));
    expect(received).toEqual(ids(1, 301));
    expect(opened).toBeGreaterThan(1);
  });
});

describe('the ws package', () => {
  test('subscribe, publish and receive with nothing but JSON', async () => {
    const url = `${system.gateway.url.replace('http', 'ws')}/v1/ws`;
    const socket = new WebSocket(url, ['tidemark.v1', `bearer.${system.token}`]);
    cleanups.push(() => socket.terminate());
    const messages: { type: string; event?: { id: string } }[] = [];
    socket.on('message', (text) => messages.push(JSON.parse(String(text))));
    await new Promise((resolve) => socket.once('open', resolve));
    expect(socket.protocol).toBe('tidemark.v1');
    expect(socket.extensions).toBe('');
    socket.send(JSON.stringify({ type: 'subscribe', id: 's', topics: ['ws.*'] }));
    await until(() => messages.some(({ type }) => type === 'live'));
    const event = { type: 'ws.said', id: 'hello' };
    socket.send(JSON.stringify({ type: 'publish', id: 'p', event }));
    await until(() => messages.some(({ type }) => type === 'event'));
    await until(() => messages.some(({ type }) => type === 'published'));
    expect(messages.find(({ type }) => type === 'event')?.event).toMatchObject(event);
    await until(() => messages.some(({ type }) => type === 'heartbeat'));
  });
});

describe('a plain NATS client', () => {
  test('subscriber: everything that ingest stores, as structured CloudEvents', async () => {
    const connection = await connect({ servers: system.nats.url });
    cleanups.push(() => connection.close());
    const messages: Msg[] = [];
    connection.subscribe('tidemark.events.plain.*', {
      callback: (_error, message) => void messages.push(message),
    });
    await connection.flush();
    await system.publisher.storeAll(series('plain.a', 1, 3));
    await until(() => messages.length === 3);
    for (const [index, message] of messages.entries()) {
      const event = numbered('plain.a', index + 1);
      expect(message.subject).toBe('tidemark.events.plain.a');
      expect(message.headers?.get('Nats-Msg-Id')).toMatch(/^[\w-]{22}$/);
      expect(message.headers?.get('content-type')).toBe('application/cloudevents+json');
      expect(message.json()).toMatchObject({ ...event, topic: 'plain.a', publisher: 'tester' });
    }
  });

  test('publisher: without any stream client: its events arrive like all others', async () => {
    const listeners = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics: 'plain.b' }),
    );
    for (const listener of listeners) await until(() => listener.live);
    const connection = await connect({ servers: system.nats.url });
    cleanups.push(() => connection.close());
    for (const event of series('plain.b', 1, 5)) {
      const text = JSON.stringify({ specversion: '1.0', ...event });
      connection.publish('tidemark.events.plain.b', text);
    }
    await connection.flush();
    for (const listener of listeners) {
      await untilEvents(listener, 5);
      expect(listener.ids).toEqual(ids(1, 5));
    }
  });

  test('consumer: a durable one of its own: the whole stream, acknowledged', async () => {
    const connection = await connect({ servers: system.nats.url });
    cleanups.push(() => connection.close());
    await system.publisher.storeAll(series('plain.c', 1, 20));
    const consumer = await jetstream(connection).consumers.get('TIDEMARK_EVENTS', {
      filter_subjects: 'tidemark.events.plain.c',
    });
    const received: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 20, expires: 5000 })) {
      received.push(message.json<{ id: string }>().id);
    }
    expect(received).toEqual(ids(1, 20));
  });
});

describe('real events', () => {
  test('the webhooks of GitHub: live and in catch-up, byte for byte what was sent', async () => {
    const events = githubEvents(329);
    const live = TRANSPORTS.map((transport) => system.listen(transport, { topics: 'github.>' }));
    for (const listener of live) await until(() => listener.live);
    for (let start = 0; start < events.length; start += 40) {
      await system.publisher.storeAll(events.slice(start, start + 40));
    }
    const later = TRANSPORTS.map((transport) =>
      system.listen(transport, { topics: 'github.*.*.*', after: 'earliest' }),
    );
    const sent = events.map((event) => ({ ...event, publisher: 'tester' }));
    for (const listener of [...live, ...later]) {
      await untilEvents(listener, events.length);
      expect(listener.events.map(({ event }) => event)).toEqual(sent);
      expect(listener.connections).toBe(1);
    }
    const wide = new Set(sent.map(({ topic }) => topic.split('.')[1]));
    expect(wide.size).toBeGreaterThan(5);
    expect(await metric(system.gateway, 'gateway_feed_invalid_total')).toBe(0);
  });
});
