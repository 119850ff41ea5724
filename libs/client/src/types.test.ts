import { expectTypeOf, test } from 'vitest';
import type { EventOf, Tidemark } from './types.ts';

interface Order {
  readonly total: number;
}
// A type and no interface: only these have an index signature.
type Events = { 'order.paid': Order; 'user.said': string };

test('event map: type of an event: gives its data a type', () => {
  const read = (event: EventOf<Events>) => {
    if (event.type === 'order.paid') expectTypeOf(event.data).toEqualTypeOf<Order | undefined>();
    else expectTypeOf(event.data).toEqualTypeOf<string | undefined>();
  };
  expectTypeOf(read).returns.toBeVoid();
  type Publish = Tidemark<Events>['publish'];
  // @ts-expect-error: the data of another type
  const wrong = (publish: Publish) => publish({ type: 'order.paid', data: 'text' });
  expectTypeOf(wrong).toBeFunction();
});
