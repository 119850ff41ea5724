import { expect, test } from 'vitest';
import { bundleClient, bundleReact, compressedSize, SIZES_MAX } from '../../libs/client/bundle.mjs';

test('client library: each part, compressed: is no larger than it says', async () => {
  const parts = { ...(await bundleClient()), react: await bundleReact() };
  const sizes = Object.entries(parts).map(([name, code]) => [name, compressedSize(code)] as const);
  expect(Object.keys(SIZES_MAX).sort()).toEqual(sizes.map(([name]) => name).sort());
  const tooLarge = sizes.filter(([name, size]) => !(size <= (SIZES_MAX[name] ?? 0)));
  expect(tooLarge).toEqual([]);
});
