import { connect, headers } from '@nats-io/transport-node';
import { type CloudEvent, encodeEvent, parseEvent } from '@tidemark/protocol';
import fc from 'fast-check';
import { metric, streamState } from '../support/system.ts';
import { until } from '../support/until.ts';
import { checkStream } from './http-exchange.ts';
import { body, headerValue, validEvent } from './inputs.ts';
import { blocks, countOutcome, type Outcomes, type Surface } from './surface.ts';

/** Parts of an event that readers of JSON disagree on or break at, and a publisher that nobody vouches for. */
const hostilePart = fc.constantFrom(
  `"data":${'['.repeat(60_000)}${']'.repeat(60_000)}`,
  '"topic":"fuzz.b"',
  '"topic":"fuzz.b","topic":"fuzz.a"',
  '"data":[1e999]',
  '"data":"\\ud800"',
  '"data":{"\\udfff":1}',
  '"publisher":"fuzz"',
  '"__proto__":{"a":1}',
);

const message = fc.record({
  subject: fc.constantFrom(
    'fuzz.a',
    'fuzz.b',
    'fuzz.c.d',
    'x-1',
    'a$b',
    'Ünïcode',
    `${'x.'.repeat(30)}x`,
    'x'.repeat(300),
  ),
  body: fc.oneof(
    body,
    validEvent.map((one) => Buffer.from(JSON.stringify(one))),
    fc.tuple(validEvent, hostilePart).map(([one, part]) => {
      return Buffer.from(JSON.stringify({ ...one, topic: 'fuzz.a' }).replace(/}$/, `,${part}}`));
    }),
  ),
  headers: fc.oneof(
    fc.constant([]),
    fc.array(
      fc.tuple(
        fc.constantFrom(
          'ce-specversion',
          'ce-id',
          'ce-type',
          'ce-source',
          'ce-topic',
          'ce-__proto__',
          'content-type',
          'traceparent',
          'Nats-Msg-Id',
          'tidemark-seal',
          'ce-publisher',
        ),
        fc.oneof(fc.constantFrom('1.0', 'fuzz.a', '/fuzz', 'application/json'), headerValue),
      ),
      { maxLength: 5 },
    ),
  ),
});

/** Messages of NATS publishers. Only valid events reach clients, over both transports. */
export const natsMessages: Surface = async (run) => {
  const { system } = run;
  const outcomes: Outcomes = {};
  const client = system.open({
    onMessage: (one) => {
      if (one.type === 'event') checkEvent(one.event);
      countOutcome(outcomes, one.type);
    },
  });
  client.send({ type: 'subscribe', id: 's', topics: ['>'] });
  await client.first('live');
  const stream = await readStream(system.gateway.url, system.token);
  const connection = await connect({ servers: system.nats.url });
  try {
    for (const block of blocks(message, run)) {
      for (const one of block) {
        const fields = headers();
        for (const [name, value] of one.headers)
          fields.append(name, value.replace(/[^\x20-\x7e]/g, '?'));
        connection.publish(`tidemark.events.${one.subject}`, one.body, { headers: fields });
      }
      await connection.flush();
      const { last } = await streamState(system.nats.url);
      await until(
        async () => (await metric(system.gateway, 'gateway_head_sequence')) >= last,
        'the feed',
      );
      client.messages.length = 0;
    }
    const { last } = await streamState(system.nats.url);
    await until(
      async () => (await metric(system.replay, 'projection_position')) >= last,
      'the archive',
    );
  } finally {
    await connection.close();
    await client.close();
  }
  outcomes['not delivered'] = run.count - (outcomes.event ?? 0);
  outcomes['SSE lines'] = await stream.end();
  return outcomes;
};

/** Section 3 holds for it, and nobody vouches for who published it. */
function checkEvent(event: CloudEvent): void {
  encodeEvent(parseEvent(event));
  if (event.publisher !== undefined) throw new Error('a forged publisher reached a client');
}

async function readStream(url: string, token: string) {
  const stop = new AbortController();
  const response = await fetch(`${url}/v1/sse?topics=>`, {
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  });
  let lines = 0;
  const done = (async () => {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of response.body ?? []) {
      const text = rest + decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf('\n') + 1;
      checkStream(text.slice(0, end), 'messages on NATS');
      lines += text.slice(0, end).split('\n').length - 1;
      rest = text.slice(end);
    }
  })();
  // Faults are reported at the end.
  done.catch(() => {});
  return {
    async end(): Promise<number> {
      stop.abort();
      await done.catch((error) => {
        if (error.name !== 'AbortError') throw error;
      });
      return lines;
    },
  };
}
