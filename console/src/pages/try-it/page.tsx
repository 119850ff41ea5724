import { useEffect, useMemo, useState } from 'preact/hooks';
import { me } from '../../api/session.ts';
import { isTopic, ownTopic, permits } from '../../events/grants.ts';
import { Empty, Notice } from '../../ui/states.tsx';
import { Controls } from './controls.tsx';
import { Log } from './log.tsx';
import { Received } from './received.tsx';
import { Setup } from './setup.tsx';
import { Trial, type TrialChoice } from './trial.ts';
import { useHead } from './use-head.ts';
import '../../events/events.css';
import './try-it.css';

/** A subscriber to cut off and let come back, and a publisher: how it is to miss nothing. */
export default function TryItPage() {
  const permissions = me.value?.permissions ?? [];
  const name = useMemo(() => Math.random().toString(36).slice(2, 6).padEnd(4, '0'), []);
  const [choice, setChoice] = useState<TrialChoice>(() => ({
    topic: ownTopic(permissions, name) ?? '',
    latestOnly: false,
  }));
  const mayTry = (topic: string) => isTopic(topic) && permits(permissions, 'subscribe', topic);
  return (
    <div class="stack">
      <Notice>
        A subscriber follows one topic over a WebSocket. Cut it off, publish meanwhile, and let it
        come back: all that it keeps is its position, and what it missed comes first.
      </Notice>
      <Setup choice={choice} change={setChoice} />
      {mayTry(choice.topic) ? (
        <OneTrial key={JSON.stringify(choice)} choice={choice} />
      ) : (
        <Empty title="Which topic?">
          The token may subscribe to no topic that it may also publish to. Name one that it may
          subscribe to.
        </Empty>
      )}
    </div>
  );
}

function OneTrial({ choice }: { choice: TrialChoice }) {
  const [trial, setTrial] = useState<Trial>();
  const head = useHead();
  useEffect(() => {
    const begun = new Trial(choice);
    setTrial(begun);
    return () => begun.close();
  }, []);
  if (!trial) return null;
  return (
    <>
      <Controls trial={trial} choice={choice} head={head} />
      <Log trial={trial} head={head} />
      <Received trial={trial} />
    </>
  );
}
