import type { Stream, StreamReplica } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { count } from '../../ui/format.ts';

/** Where the replicas of a stream are, and how they are. */
export function Replicas({ stream: { name, replicas, leader } }: { stream: Stream }) {
  if (replicas.length === 0) return <p class="quiet">One nats-server has it, without replicas.</p>;
  return (
    <div class="stack tight">
      <h3>{replicas.length === 1 ? '1 replica' : `${replicas.length} replicas`}</h3>
      {leader === null && <p class="bad-text">No leader: nothing can be stored.</p>}
      <ul class="replicas" aria-label={`Replicas of ${name}`}>
        {replicas.map((replica) => (
          <li key={replica.name} class="row spread">
            <span class="cut">{replica.name}</span>
            <span class="row">
              {replica.leader && <Badge kind="accent">leader</Badge>}
              <ReplicaState replica={replica} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The same in a line: the worst of them. */
export function ReplicaSummary({ stream: { replicas, leader } }: { stream: Stream }) {
  const worst = replicas.find(({ offline }) => offline) ?? replicas.find(({ current }) => !current);
  return (
    <span class="row">
      <span class="cut">{leader ?? '–'}</span>
      {replicas.length > 1 && <span class="quiet">+{replicas.length - 1}</span>}
      {worst && (
        <span class="row">
          {worst.name} <ReplicaState replica={worst} />
        </span>
      )}
    </span>
  );
}

function ReplicaState({ replica: { offline, current, lag } }: { replica: StreamReplica }) {
  if (offline) return <Badge kind="bad">offline</Badge>;
  if (!current) return <Badge kind="warning">{count(lag)} behind</Badge>;
  return <Badge kind="good">current</Badge>;
}
