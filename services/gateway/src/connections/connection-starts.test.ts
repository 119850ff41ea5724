import { expect, test } from 'vitest';
import { Stage } from '../../../../test/support/gateway-stage.ts';

test('the stream loses its end between its answer and the start: a gap, and not a place that comes anew', async () => {
  const stage = new Stage(100);
  for (let n = 0; n < 3; n++) stage.publish({ topic: 'a', type: 't' });
  for (let n = 0; n < 5; n++) stage.store({ topic: 'a', type: 't' });
  let asked = 0;
  stage.onBounds = () => {
    if (asked++ === 0) stage.loseAfter(4);
  };
  const { texts, received } = stage.connect([{ patterns: ['a'] }], 7);
  await stage.settle();
  expect(texts.join('')).toContain('"reason":"future"');
  for (let n = 0; n < 2; n++) stage.publish({ topic: 'a', type: 't' });
  await stage.settle();
  expect(received()).toEqual([5, 6]);
});
