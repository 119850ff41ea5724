import { effect } from '@preact/signals';
import type { ColorName } from './line-colors.ts';
import { theme } from './theme.ts';

const known = new Map<ColorName, string>();

/**
 * A colour of the present theme as canvases take it: they know no variables. It is kept until the theme changes.
 */
export function cssColor(name: ColorName): string {
  const found = known.get(name) ?? readColor(name);
  known.set(name, found);
  return found;
}

function readColor(name: ColorName): string {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

effect(() => {
  theme.value;
  known.clear();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => known.clear());
