import type { Rebuild } from '../../api/types.ts';
import { Progress } from '../../ui/bar.tsx';
import { count, duration } from '../../ui/format.ts';

/** How far a running rebuild is, and when it may end. */
export function RebuildProgress({ of, rebuild }: { of: string; rebuild: Rebuild }) {
  const { done, total, startedAt } = rebuild;
  const percent = total > 0 ? Math.floor((done / total) * 100) : 0;
  const spentMs = Date.now() - new Date(startedAt).getTime();
  const leftMs = done > 0 ? (spentMs / done) * (total - done) : undefined;
  return (
    <div class="stack tight">
      <div class="row spread">
        <span>Rebuilding: {percent} %</span>
        <span class="quiet">
          {count(done)} of {count(total)}
          {leftMs !== undefined && `, about ${duration(Math.max(1000, leftMs))} left`}
        </span>
      </div>
      <Progress label={`Rebuild of ${of}`} value={done} max={total} text={`${percent} percent`} />
    </div>
  );
}
