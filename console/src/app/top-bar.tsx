import { end, me } from '../api/session.ts';
import { duration, fullTime } from '../ui/format.ts';
import { Icon } from '../ui/icon.tsx';
import { useNow } from '../ui/use-now.ts';
import { ThemeButton } from './chrome.tsx';

const MINUTE_MS = 60_000;
/** From here on the rest of the token's life is a warning. */
const SOON_MS = 5 * MINUTE_MS;

interface TopBarProps {
  readonly title: string;
  readonly openHelp: () => void;
}

export function TopBar({ title, openHelp }: TopBarProps) {
  return (
    <header class="bar">
      <h1>{title}</h1>
      <div class="bar-end">
        <TokenLife />
        <button
          type="button"
          class="bare wide-only"
          onClick={openHelp}
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
        >
          <Icon name="keys" />
        </button>
        <ThemeButton />
        <button
          type="button"
          class="bare"
          onClick={() => end()}
          aria-label="Forget the token"
          title="Forget the token"
        >
          <Icon name="leave" />
        </button>
      </div>
    </header>
  );
}

/** Whose token it is, and how long it is good. */
function TokenLife() {
  const now = useNow(MINUTE_MS / 4);
  const { sub, expiresAt } = me.value ?? { sub: '', expiresAt: '' };
  const left = new Date(expiresAt).getTime() - now;
  const life = left > 0 ? `${duration(left)} left` : 'expired';
  return (
    <span class="who" title={expiresAt && `Good until ${fullTime(expiresAt)}`}>
      <strong>{sub}</strong>
      {expiresAt && <span class={left < SOON_MS ? 'warning-text' : 'quiet'}>{life}</span>}
    </span>
  );
}
