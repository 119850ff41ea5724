import type { ComponentChildren } from 'preact';
import type { ServiceStats } from '../api/types.ts';
import { Badge } from './badge.tsx';
import { duration } from './format.ts';

/** Services announce themselves each second. One that has not for so long may be gone. */
const SILENT_MS = 4000;

interface ServiceStateProps {
  readonly of: Pick<ServiceStats, 'ready' | 'seenMs'>;
  /** What is said of one that is ready. */
  readonly children: ComponentChildren;
}

/** Whether a service is there and ready. */
export function ServiceState({ of: { ready, seenMs }, children }: ServiceStateProps) {
  if (seenMs > SILENT_MS) return <Badge kind="bad">silent for {duration(seenMs)}</Badge>;
  return ready ? children : <Badge kind="warning">not ready</Badge>;
}
