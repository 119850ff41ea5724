import type { ComponentChildren } from 'preact';
import { Icon } from './icon.tsx';

/** While there is nothing to show yet: grey lines in its place. */
export function Loading({ lines = 3, label = 'Loading' }: { lines?: number; label?: string }) {
  return (
    <div class="loading" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} class="loading-line" />
      ))}
    </div>
  );
}

/** There is nothing, and why that may be so. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** It failed: what the service said, and a way to try again. */
export function Failed({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div class="failed" role="alert">
      <Icon name="warning" />
      <div>
        <p>{message}</p>
        {code && <p class="quiet mono">{code}</p>}
      </div>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Errors of requests have a code, and so have those of the client library. */
function codeOf(error: unknown): string | undefined {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

interface NoticeProps {
  readonly kind?: 'info' | 'warning' | 'good' | 'bad';
  readonly children: ComponentChildren;
}

/** A line that tells something, and is read out. */
export function Notice({ kind = 'info', children }: NoticeProps) {
  return (
    <p class={`notice ${kind}`} role="status">
      {children}
    </p>
  );
}
