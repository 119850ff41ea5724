import { matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Stage } from '../../../../test/support/gateway-stage.ts';

/* A connection that filters by types receives what a filter by hand keeps of one that does not. */

const topic = fc.constantFrom('a', 'b', 'a.b');
const type = fc.constantFrom('t', 't', 't', 't.a', 't.b', 'u');
const name = fc.constantFrom('t', 't.a', 't.b', 't*', 't.*', 'u', 'v*', '*');
const wish = fc.record({
  patterns: fc.uniqueArray(fc.constantFrom('a', 'b', 'a.*', '>'), { minLength: 1 }),
  types: fc.option(fc.array(name, { minLength: 1, maxLength: 3 }), { nil: undefined }),
});
const scene = fc.record({
  events: fc.array(fc.record({ topic, type }), { maxLength: 120 }),
  /** One subscription for each, on one connection. */
  wishes: fc.array(wish, { minLength: 1, maxLength: 3 }),
  /** How many events there are when they begin, and after which they begin. */
  there: fc.nat(120),
  after: fc.nat(120),
  tailEvents: fc.constantFrom(5, 50, 1000),
});

test('types: any events, subscriptions, starts and tails: what a filter by hand keeps', async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ events, wishes, there, after, tailEvents }) => {
      const stage = new Stage(tailEvents);
      for (const event of events.slice(0, there)) stage.publish(event);
      const start = Math.min(after, there, events.length);
      const given = wishes.map(({ patterns, types }) => ({ patterns, ...(types && { types }) }));
      const filtered = stage.connect(given, start);
      const plain = stage.connect([{ patterns: ['>'] }], start);
      await stage.settle();
      for (const event of events.slice(there)) stage.publish(event);
      await stage.settle();

      expect(plain.received()).toEqual(events.map((_, index) => index + 1).slice(start));
      const received = filtered.received();
      const kept = (list: number[], one: Wish) => {
        return list.filter((sequence) => wants(one, events[sequence - 1]));
      };
      // Each in its order; those that have nothing in common catch up apart.
      for (const one of wishes) expect(kept(received, one)).toEqual(kept(plain.received(), one));
      const wanted = plain.received().filter((sequence) => {
        return wishes.some((one) => wants(one, events[sequence - 1]));
      });
      expect(received.sort((left, right) => left - right)).toEqual(wanted);
      expect(filtered.live()).toBe(wishes.length);
      // The cursor has passed what was left out.
      expect(filtered.connection.position()?.sequence).toBe(events.length);
    }),
    { numRuns: 300 },
  );
});

interface Wish {
  readonly patterns: readonly string[];
  readonly types: readonly string[] | undefined;
}

function wants(
  { patterns, types = ['*'] }: Wish,
  event: { readonly topic: string; readonly type: string } | undefined,
): boolean {
  if (!event) return false;
  const isTyped = types.some((one) =>
    one.endsWith('*') ? event.type.startsWith(one.slice(0, -1)) : event.type === one,
  );
  return isTyped && patterns.some((pattern) => matches(pattern, event.topic));
}
