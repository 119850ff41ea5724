import { expectTypeOf, test } from 'vitest';
import type { Published, Publisher } from './types.ts';

interface Order {
  readonly total: number;
}
// A type and no interface: only these have an index signature.
type Events = { 'order.paid': Order; 'order.closed': undefined };

test('event map: publish: takes the data of the type, and no other', () => {
  const right = (publisher: Publisher<Events>) => {
    const subject = '42';
    return [
      publisher.publish('orders.42', { type: 'order.paid', data: { total: 7 }, subject }),
      publisher.publish('orders.42', { type: 'order.closed' }),
      publisher.append('orders.42', { type: 'order.closed' }, { ifMatch: null }),
    ];
  };
  expectTypeOf(right).returns.toEqualTypeOf<Promise<Published>[]>();
  // @ts-expect-error: the data of another type
  void ((to: Publisher<Events>) => to.publish('a', { type: 'order.paid', data: 'text' }));
  // @ts-expect-error: no data
  void ((to: Publisher<Events>) => to.publish('a', { type: 'order.paid' }));
  // @ts-expect-error: a type that is not in the map
  void ((to: Publisher<Events>) => to.publish('a', { type: 'order.lost' }));
  // @ts-expect-error: no type
  void ((to: Publisher<Events>) => to.publish('a', { data: { total: 7 } }));
  // @ts-expect-error: no condition
  void ((to: Publisher<Events>) => to.append('a', { type: 'order.closed' }));
});

test('event map: batch: takes each event with the data of its type, and a topic', () => {
  void ((to: Publisher<Events>) =>
    to.publishBatch([
      { topic: 'a', type: 'order.paid', data: { total: 7 } },
      { topic: 'a', type: 'order.closed' },
    ]));
  // @ts-expect-error: the data of another type
  void ((to: Publisher<Events>) => to.publishBatch([{ topic: 'a', type: 'order.paid', data: 1 }]));
  // @ts-expect-error: no topic
  void ((to: Publisher<Events>) => to.publishBatch([{ type: 'order.closed' }]));
});

test('event map: decide: has the state of read, and answers an event of the map', () => {
  void ((to: Publisher<Events>) =>
    to.retryOnConflict(
      'a',
      () => ({ state: 7, cursor: null }),
      (total) => {
        expectTypeOf(total).toEqualTypeOf<number>();
        return total > 10 ? undefined : { type: 'order.paid', data: { total } };
      },
    ));
  void ((to: Publisher<Events>) =>
    to.retryOnConflict(
      'a',
      () => ({ state: 7, cursor: null }),
      // @ts-expect-error: the data of another type
      (total) => ({ type: 'order.paid', data: total }),
    ));
});

test('no event map: every type and every data is taken', () => {
  void ((to: Publisher) => to.publish('a', { type: 'any', data: 1 }));
  void ((to: Publisher) => to.publish('a', { type: 'any' }));
});
