import { expect, test } from 'vitest';
import { bundleClient, compressedSize, SIZE_MAX } from '../../libs/client/bundle.mjs';

test('client library: the whole core, compressed: is no larger than it says', async () => {
  const size = compressedSize(await bundleClient());
  expect(size).toBeLessThanOrEqual(SIZE_MAX);
});
