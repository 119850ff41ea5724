import { Icon } from '../ui/icon.tsx';
import { nextTheme, theme } from '../ui/theme.ts';

export function Brand() {
  return (
    <span class="brand">
      <img src="icon.svg" alt="" width="22" height="22" />
      Tidemark
    </span>
  );
}

/** Goes through the themes. */
export function ThemeButton() {
  const label = `Theme: ${theme.value}`;
  return (
    <button type="button" class="bare" onClick={nextTheme} aria-label={label} title={label}>
      <Icon name={theme.value} />
    </button>
  );
}
