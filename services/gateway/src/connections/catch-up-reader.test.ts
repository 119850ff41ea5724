import { expect, test } from 'vitest';
import { Stage } from '../../../../test/support/gateway-stage.ts';

test('the log grows during each read of the stream: a catch-up does not run after the floor', async () => {
  const stage = new Stage(100);
  for (let n = 0; n < 1000; n++) stage.publish({ topic: n < 10 ? 'a' : 'b', type: 't' });
  let reads = 0;
  stage.onRead = () => {
    reads++;
    for (let n = 0; n < 5 && reads < 50; n++) stage.publish({ topic: 'b', type: 't' });
  };
  const { received, live } = stage.connect([{ patterns: ['a'] }], 0);
  await stage.settle();
  expect(received()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(live()).toBe(1);
  expect(reads).toBe(1);
});
