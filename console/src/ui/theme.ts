import { effect, signal } from '@preact/signals';
import { readStored, store } from '../api/storage.ts';

/** `system` follows the browser. */
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'tidemark-console-theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

export const theme = signal<Theme>(stored());

/** Shows the theme, and stores it, whenever it changes. */
export function applyTheme(): void {
  effect(() => {
    if (theme.value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    store('localStorage', KEY, theme.value);
  });
}

/** System, light, dark, and system again. */
export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
}

function stored(): Theme {
  const found = readStored('localStorage', KEY);
  return THEMES.find((one) => one === found) ?? 'system';
}
