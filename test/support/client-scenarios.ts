import type { Message, NewEvent, Subscription, Tidemark } from '@tidemark/client';

/** A client, and what its scenario does around it; a real system or the double of `@tidemark/client/testing`. */
export interface Ground {
  readonly client: Tidemark;
  /** A client of the same user that may do less. */
  readonly limited: Tidemark;
  /** No other scenario has this topic, or topics below it. */
  readonly topic: string;
  readonly user: string;
  /** Stores an event as somebody else. @returns its cursor */
  emit(event: NewEvent): Promise<string>;
  /** Waits until it is so. */
  until(isSo: () => boolean): Promise<void>;
  /** What is stored now is before what is stored later, by the clock of the log. */
  tick(): Promise<void>;
}

/** What a client does, whatever is behind it. */
export interface Scenario {
  readonly name: string;
  run(ground: Ground): Promise<unknown>;
  /** Absent where the real system alone says it. */
  readonly expected?: unknown;
}

/** The scope of `Ground.limited`. */
export const LIMITED_SCOPE = 'subscribe:mine.> publish:mine.>';

/** What a subscription gives, as short texts, until so many have come. */
async function collect(
  ground: Ground,
  subscription: Subscription,
  count: number,
): Promise<string[]> {
  const got = follow(subscription);
  await ground.until(() => got.length >= count);
  return got;
}

function follow(subscription: Subscription): string[] {
  const got: string[] = [];
  void (async () => {
    for await (const message of subscription.messages()) got.push(textOf(message));
  })().catch((error: unknown) => got.push(String(error)));
  return got;
}

function textOf(message: Message): string {
  if (message.type === 'event') return `${message.last ? 'last ' : ''}${message.event.id}`;
  return message.type === 'skipped' ? `skipped ${message.count}` : message.type;
}

/** Emits events with these ids, on the topic or below it: `a/1` is event 1 on `{topic}.a`. */
async function emitAll({ topic, emit }: Ground, names: readonly string[]): Promise<string[]> {
  const cursors: string[] = [];
  for (const name of names) {
    const [below, id = ''] = name.includes('/') ? name.split('/') : ['', name];
    const type = `said.${Number(id) % 2 === 0 ? 'even' : 'odd'}`;
    cursors.push(
      await emit({ type, id, topic: below ? `${topic}.${below}` : topic, source: '/s' }),
    );
  }
  return cursors;
}

/** What a client was refused. */
async function refusal(attempt: () => Promise<unknown>): Promise<object> {
  try {
    await attempt();
  } catch (error) {
    const { code, message, retryable, faults } = error as Record<string, unknown>;
    return { code, message: String(message).replace(/ at \S+-\d+/, ' at …'), retryable, faults };
  }
  return { code: 'none' };
}

const starts: Scenario[] = [
  {
    name: 'from the earliest, and live',
    async run(ground) {
      await emitAll(ground, ['1', '2', 'a/3']);
      const subscription = ground.client.subscribe(ground.topic, { after: 'earliest' });
      const got = await collect(ground, subscription, 3);
      await emitAll(ground, ['a/4', '5']);
      await ground.until(() => got.length >= 4);
      return got;
    },
    expected: ['1', '2', 'live', '5'],
  },
  {
    name: 'from now on',
    async run(ground) {
      await emitAll(ground, ['1', '2']);
      const got = await collect(ground, ground.client.subscribe(ground.topic), 1);
      await emitAll(ground, ['3']);
      await ground.until(() => got.length >= 2);
      return got;
    },
    expected: ['live', '3'],
  },
  {
    name: 'from a cursor',
    async run(ground) {
      const [, second = ''] = await emitAll(ground, ['1', '2', '3', '4']);
      return collect(ground, ground.client.subscribe(ground.topic, { after: second }), 3);
    },
    expected: ['3', '4', 'live'],
  },
  {
    name: 'from a time',
    async run(ground) {
      await emitAll(ground, ['1', '2']);
      await ground.tick();
      const after = new Date().toISOString();
      await ground.tick();
      await emitAll(ground, ['3']);
      return collect(ground, ground.client.subscribe(ground.topic, { after }), 2);
    },
    expected: ['3', 'live'],
  },
  {
    name: 'from the last of each topic',
    async run(ground) {
      const cursors = await emitAll(ground, ['a/1', 'b/2', 'a/3', 'c/4', 'b/5']);
      const options = { after: 'last', atLeast: cursors.at(-1) ?? '' } as const;
      const got = await collect(ground, ground.client.subscribe(`${ground.topic}.*`, options), 4);
      await emitAll(ground, ['c/6']);
      await ground.until(() => got.length >= 5);
      return got;
    },
    expected: ['last 3', 'last 4', 'last 5', 'live', '6'],
  },
  {
    name: 'of some types',
    async run(ground) {
      await emitAll(ground, ['1', '2', '3', '4']);
      const options = { after: 'earliest', types: ['said.e*'] };
      const got = await collect(ground, ground.client.subscribe(ground.topic, options), 3);
      await emitAll(ground, ['5', '6']);
      await ground.until(() => got.length >= 4);
      return got;
    },
    expected: ['2', '4', 'live', '6'],
  },
  {
    name: 'only the newest while it is behind',
    async run(ground) {
      await emitAll(ground, ['a/1', 'b/2', 'a/3', 'a/4', 'b/5']);
      const options = { after: 'earliest', deliver: 'latest' } as const;
      return collect(ground, ground.client.subscribe(`${ground.topic}.*`, options), 4);
    },
    expected: ['4', '5', 'skipped 3', 'live'],
  },
  {
    name: 'two that overlap',
    async run(ground) {
      await emitAll(ground, ['a/1', 'b/2']);
      const { client, topic } = ground;
      const all = follow(client.subscribe(`${topic}.*`, { after: 'earliest' }));
      const one = follow(client.subscribe(`${topic}.b`, { after: 'earliest' }));
      await ground.until(() => all.length >= 3 && one.length >= 2);
      await emitAll(ground, ['b/3', 'a/4']);
      await ground.until(() => all.length >= 5 && one.length >= 3);
      return { all, one };
    },
    expected: { all: ['1', '2', 'live', '3', '4'], one: ['2', 'live', '3'] },
  },
];

const parts: Scenario[] = [
  {
    name: 'snapshot',
    async run(ground) {
      const { client, topic, emit } = ground;
      await emit({ type: 'set', topic: `${topic}.a`, data: 1 });
      const atLeast = await emit({ type: 'set', topic: `${topic}.b`, data: 2 });
      const snapshot = client.snapshot(`${topic}.*`, { atLeast });
      const changes: unknown[] = [];
      snapshot.on('change', (at, event) => changes.push([at.slice(topic.length), event?.data]));
      await snapshot.ready;
      await emit({ type: 'set', topic: `${topic}.a`, data: 3 });
      await emit({ type: 'gone', topic: `${topic}.b` });
      await ground.until(() => changes.length >= 4);
      return { changes, left: [...snapshot.topics.values()].map(({ data }) => data) };
    },
    expected: {
      changes: [
        ['.a', 1],
        ['.b', 2],
        ['.a', 3],
        ['.b', undefined],
      ],
      left: [3],
    },
  },
  {
    name: 'join',
    async run(ground) {
      const { client, topic, emit } = ground;
      let server = 0;
      const add = async () => void (await emit({ type: 'added', topic, data: ++server }));
      await add();
      const joined = client.join({
        topics: topic,
        fetchState: async () => {
          // It lies behind the position, so that it is in the state and comes as a change too.
          await add();
          return [server];
        },
        apply: (state, { data }) => [...state, data as number],
      });
      await joined.ready;
      await add();
      await ground.until(() => joined.state?.at(-1) === 3);
      return joined.state;
    },
    expected: [2, 2, 3],
  },
  {
    name: 'publish, and conditions',
    async run(ground) {
      const { client, topic } = ground;
      const said = (id: string) => ({ type: 'said', topic, id, data: id });
      const first = await client.publish(said('1'), { ifMatch: null });
      const exists = await failed(client.publish(said('2'), { ifMatch: null }));
      const second = await client.publish(said('3'), { ifMatch: ['fake-7', first.cursor] });
      const late = await failed(client.publish(said('4'), { ifMatch: first.cursor }));
      const empty = { type: 'said', topic: `${topic}.empty` };
      const nothing = await failed(client.publish(empty, { ifMatch: first.cursor }));
      const again = await client.publish(said('3'));
      const names = new Map([
        [first.cursor, 'first'],
        [second.cursor, 'second'],
      ]);
      const named = (cursor: unknown) => names.get(String(cursor)) ?? cursor;
      return {
        ...{ exists: named(exists), late: named(late), nothing },
        again: [again.duplicate, again.id, named(again.cursor)],
        first: [first.duplicate, first.id, first.topic === topic, first.source],
      };
    },
    expected: {
      ...{ exists: 'first', late: 'second', nothing: null },
      again: [true, '3', 'second'],
      first: [false, '1', true, '/users/alice'],
    },
  },
  {
    name: 'event as it is stored',
    async run(ground) {
      const { client, topic } = ground;
      await client.publish({ type: 'said', topic, id: '1', data: { n: 1 }, subject: 'x' });
      const found: unknown[] = [];
      void client.subscribe(topic, { after: 'earliest' }).each(({ time, ...event }) => {
        found.push({ ...event, topic: event.topic === topic, time: typeof time });
      });
      await ground.until(() => found.length > 0);
      return found;
    },
    expected: [
      {
        ...{ specversion: '1.0', id: '1', source: '/users/alice', type: 'said', topic: true },
        ...{ time: 'string', data: { n: 1 }, subject: 'x', publisher: 'alice' },
      },
    ],
  },
];

/** @returns the cursor that a precondition was refused with */
async function failed(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => 'stored',
    ({ code, cursor }) => (code === 'precondition_failed' ? cursor : code),
  );
}

const errors: Scenario = {
  name: 'errors',
  async run({ client, limited, topic }) {
    const subscribe = (of: Tidemark, topics: string | string[], options = {}) =>
      refusal(async () => {
        const subscription = of.subscribe(topics, options);
        await subscription.each(() => undefined);
      });
    const publish = (of: Tidemark, event: object, options = {}) =>
      refusal(() => of.publish(event as NewEvent, options));
    await client.publish({ type: 'said', topic, id: 'once', data: 1 });
    return {
      subscribe: [
        await subscribe(client, 'a..b'),
        await subscribe(client, 'a.>.b'),
        await subscribe(client, 'x'.repeat(201)),
        await subscribe(client, []),
        await subscribe(client, 'a', { types: [''] }),
        await subscribe(client, 'a', { types: ['a*b'] }),
        await subscribe(client, 'a', { types: [] }),
        await subscribe(client, 'a', { after: 'nonsense' }),
        await subscribe(client, 'a', { after: '2026-13-40' }),
        await subscribe(limited, 'theirs.1'),
        await subscribe(limited, ['mine.1', '>']),
      ],
      publish: [
        await publish(client, { type: 'no topic' }),
        await publish(client, { type: 'a', topic: 'a..b' }),
        await publish(client, { topic: 'a' }),
        await publish(client, { type: '', topic: 'a' }),
        await publish(client, { type: 'a', topic: 'inbox.alice' }),
        await publish(client, { type: 'a', topic: 'tidemark.erased.a' }),
        await publish(limited, { type: 'a', topic: 'theirs.1' }),
        await publish(client, { type: 'a', topic: `${topic}.none` }, { ifMatch: 'fake-1' }),
        await publish(client, { type: 'a', topic }, { ifMatch: null }),
        await publish(client, { type: 'said', topic, id: 'once', data: 2 }),
      ],
      request: [
        await refusal(() => limited.request('GET', '/v1/inbox', { service: 'replay' })),
        await refusal(() => inboxOf(client)('/follows', { change: 'follow', pattern: 'a..b' })),
        await refusal(() => inboxOf(client)('/marks', { mark: 'read', upTo: 'nonsense' })),
        await refusal(() => inboxOf(client)('/marks', { mark: 'read' })),
        await refusal(() => inboxOf(client)('/marks', { mark: 'unread', upTo: 'fake-1' })),
        await refusal(() => inboxOf(client)('/marks', { mark: 'snoozed', cursors: ['fake-1'] })),
      ],
    };
  },
};

function inboxOf(client: Tidemark) {
  return async <Body>(path: string, body?: object): Promise<Body> => {
    const method = body ? 'POST' : 'GET';
    const options = { service: 'replay', ...(body && { body }) } as const;
    return (await client.request<Body>(method, `/v1/inbox${path}`, options)).body;
  };
}

interface Page {
  readonly items: readonly { cursor: string; event: { id: string }; state: object }[];
  readonly unseen: number;
  readonly unread: number;
  readonly more: boolean;
  readonly next: string | null;
}

const inbox: Scenario = {
  name: 'inbox',
  async run(ground) {
    const { client, topic, user, emit } = ground;
    const ask = inboxOf(client);
    const own = `user.${user}.${topic}`;
    const names = new Map<string, string>();
    const item = async (id: string, at = own, type = 'note') => {
      const cursor = await emit({ id, type, topic: at });
      names.set(cursor, id);
      return cursor;
    };
    const page = async (query = '') => {
      const at = await emit({ type: 'tick', topic: `${topic}.tick` });
      const { items, unseen, unread, more, next } = await ask<Page>(`?atLeast=${at}${query}`);
      const shown = items.map(({ event, state }) => ({ id: event.id, ...state }));
      return { shown, unseen, unread, more, next: next !== null };
    };
    const changes: unknown[] = [];
    const subscription = client.subscribe(`inbox.${user}`);
    void subscription.each(({ type, publisher, data }) => {
      const text = JSON.stringify(data, (name, value) =>
        name === 'recent' ? value.length : value,
      );
      changes.push({ type, publisher, data: JSON.parse(hideCursors(text, names)) });
    });
    await subscription.live;
    const steps: unknown[] = [];
    const step = async (path: string, body: object) => {
      const answer = await ask<Record<string, unknown>>(path, body);
      steps.push([answer.changed !== null, await page()]);
    };

    const [one, two, three] = [await item('1'), await item('2'), await item('3')];
    await item('not followed yet', `${topic}.news`);
    steps.push(await page(), await page('&limit=2'), await page(`&before=${three}`));
    await step('/marks', { mark: 'seen', upTo: two, id: 'x' });
    await step('/marks', { mark: 'seen', upTo: two, id: 'x' });
    await step('/marks', { mark: 'read', cursors: [three] });
    await step('/marks', { mark: 'unread', cursors: [three] });
    await step('/marks', { mark: 'read', cursors: [one] });
    await step('/marks', { mark: 'read', upTo: two });
    await step('/marks', { mark: 'unread', cursors: [two, one] });
    await step('/marks', { mark: 'archived', cursors: [one] });
    await step('/marks', { mark: 'snoozed', cursors: [two], until: '2999-01-01T00:00:00Z' });
    steps.push(await page('&state=snoozed'), await page('&state=archived'));
    await step('/marks', { mark: 'snoozed', cursors: [two], until: '2000-01-01T00:00:00Z' });
    await step('/follows', { change: 'follow', pattern: `${topic}.news`, types: ['b', 'a*', 'b'] });
    await item('news', `${topic}.news`, 'b');
    await item('of another type', `${topic}.news`, 'c');
    steps.push(await page(), await page(`&topics=${topic}.*`), await page('&state=all'));
    await step('/follows', { change: 'mute', pattern: `${topic}.*` });
    await step('/follows', { change: 'unmute', pattern: `${topic}.*` });
    await step('/follows', { change: 'unfollow', pattern: `${topic}.news` });
    await step('/follows', { change: 'unfollow', pattern: `${topic}.news` });
    steps.push(
      await refusal(() =>
        ask('/marks', { mark: 'read', cursors: [one, one.replace(/\d+$/, '0')] }),
      ),
    );
    await ground.until(() => changes.length >= 12);
    const { topics, follows, mutes } = await ask<Record<string, unknown>>('/follows');
    return { steps, changes, rules: { topics, follows, mutes } };
  },
};

/** Positions are other ones in each system. Where an item is named, it is by its id. */
function hideCursors(text: string, names: ReadonlyMap<string, string>): string {
  const named = (cursor: string) => (names.has(cursor) ? `item ${names.get(cursor)}` : 'cursor');
  return text.replace(/"([a-z0-9.]+-\d+)"/g, (_, cursor: string) => JSON.stringify(named(cursor)));
}

/** What the double has in common with the real system. */
export const SCENARIOS: readonly Scenario[] = [...starts, ...parts, errors, inbox];
