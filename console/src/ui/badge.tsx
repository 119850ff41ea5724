import type { ComponentChildren } from 'preact';

interface BadgeProps {
  readonly kind?: 'plain' | 'good' | 'warning' | 'bad' | 'accent';
  readonly title?: string;
  readonly children: ComponentChildren;
}

/** A state in one or two words. The words say it; the colour only helps to find it. */
export function Badge({ kind = 'plain', title, children }: BadgeProps) {
  return (
    <span class={`badge ${kind}`} title={title}>
      {children}
    </span>
  );
}
