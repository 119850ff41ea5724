import { expect } from 'vitest';
import type { Console, ConsoleOptions } from './console.ts';

/** Each theme at each width. */
export const LOOKS: readonly Required<ConsoleOptions>[] = [
  { scheme: 'light', size: 'wide' },
  { scheme: 'dark', size: 'wide' },
  { scheme: 'light', size: 'phone' },
  { scheme: 'dark', size: 'phone' },
];

/** Fails where the page keeps somebody out, or is wider than the window. @param name of the page, for the failure */
export async function expectFit({ page, barriers }: Console, name: string): Promise<void> {
  expect(await barriers(), name).toEqual([]);
  const tooWide = 'document.documentElement.scrollWidth - innerWidth';
  expect(await page.evaluate(tooWide), name).toBeLessThanOrEqual(0);
}
