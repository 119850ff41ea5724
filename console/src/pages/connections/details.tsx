import { useState } from 'preact/hooks';
import type { Connection, ConnectionSubscription } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { Confirm } from '../../ui/confirm.tsx';
import { Copyable } from '../../ui/copyable.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { bytes, count, fullTime } from '../../ui/format.ts';
import { href } from '../../ui/route.ts';
import { Notice } from '../../ui/states.tsx';
import { Time } from '../../ui/time.tsx';
import { disconnect, revoke } from './calls.ts';
import { Behind, SlowBadge, StateBadge, TransportName } from './parts.tsx';

type Asked = 'disconnect' | 'disconnect-user' | 'revoke' | undefined;

interface DetailsProps {
  readonly connection: Connection;
  /** It is not in the newest answer. */
  readonly gone: boolean;
  readonly close: () => void;
  /** Something was done to it. */
  readonly changed: () => void;
}

/** All that is known of one connection, and what can be done to it. */
export function Details({ connection, gone, close, changed }: DetailsProps) {
  const [asked, setAsked] = useState<Asked>();
  const [done, setDone] = useState('');
  const finish = (text: string) => {
    setDone(text);
    changed();
  };
  return (
    <Dialog title={connection.sub} drawer close={close}>
      {done && <Notice kind="good">{done}</Notice>}
      {gone && <Notice kind="warning">This connection is no longer in the list.</Notice>}
      <div class="row">
        <button type="button" onClick={() => setAsked('disconnect')}>
          Disconnect
        </button>
        <button type="button" onClick={() => setAsked('disconnect-user')}>
          Disconnect the user
        </button>
        <button type="button" class="danger" onClick={() => setAsked('revoke')}>
          Revoke the user's tokens
        </button>
      </div>
      <Facts connection={connection} />
      <h3>Subscriptions</h3>
      {connection.subscriptions.length === 0 && <p class="quiet">It has none.</p>}
      {connection.subscriptions.map((one) => (
        <Subscription key={one.id} one={one} />
      ))}
      {connection.subscriptionsLeftOut !== undefined && connection.subscriptionsLeftOut > 0 && (
        <p class="quiet">and {count(connection.subscriptionsLeftOut)} more</p>
      )}
      <Question asked={asked} of={connection} close={() => setAsked(undefined)} done={finish} />
    </Dialog>
  );
}

function Facts({ connection: one }: { connection: Connection }) {
  return (
    <dl class="facts">
      <dt>Connection</dt>
      <dd>
        <Copyable text={one.connection} name="the connection's id" />
      </dd>
      <dt>Gateway</dt>
      <dd>{one.gateway}</dd>
      <dt>Transport</dt>
      <dd>
        <TransportName of={one.transport} /> from {one.address}
      </dd>
      <dt>Connected</dt>
      <dd>
        <Time of={one.connectedAt} />, {fullTime(one.connectedAt)}
      </dd>
      <dt>Token</dt>
      <dd>until {fullTime(one.tokenExpiresAt)}</dd>
      <dt>Position</dt>
      <dd>
        {one.cursor ? (
          <Copyable text={one.cursor} name="the cursor" />
        ) : (
          <span class="quiet">none yet</span>
        )}
      </dd>
      <dt>Events behind</dt>
      <dd>
        <Behind events={one.behind} />
      </dd>
      <dt>Unsent</dt>
      <dd>{bytes(one.unsentBytes)}</dd>
      <dt>Delivered</dt>
      <dd>{count(one.delivered)} events</dd>
      <dt>Fell behind</dt>
      <dd>{one.fellBehind === 1 ? 'once' : `${count(one.fellBehind)} times`}</dd>
      <dt>Slow</dt>
      <dd>
        <SlowBadge slow={one.slow} />
      </dd>
    </dl>
  );
}

function Subscription({ one }: { one: ConnectionSubscription }) {
  return (
    <div class="box">
      <div class="row spread">
        <strong class="cut">{one.id}</strong>
        <span class="row">
          {one.deliver === 'latest' && <Badge>only the newest</Badge>}
          <StateBadge state={one.state} />
        </span>
      </div>
      <ul class="chips">
        {one.topics.map((topic) => (
          <li key={topic}>
            <a href={href('topics', { topics: topic })}>
              <code>{topic}</code>
            </a>
          </li>
        ))}
      </ul>
      {one.topicsLeftOut && <p class="quiet">and {count(one.topicsLeftOut)} more patterns</p>}
      {one.types && (
        <p class="quiet">
          only of type {one.types.join(', ')}
          {one.typesLeftOut && `, and ${count(one.typesLeftOut)} more types`}
        </p>
      )}
      <p class="row">
        {one.cursor && <Copyable text={one.cursor} name="the cursor" />}
        <span>
          <Behind events={one.behind} /> <span class="quiet">events behind</span>
        </span>
      </p>
    </div>
  );
}

interface QuestionProps {
  readonly asked: Asked;
  readonly of: Connection;
  readonly close: () => void;
  readonly done: (text: string) => void;
}

/** Asks before it is done. */
function Question({ asked, of: { sub, connection }, close, done }: QuestionProps) {
  if (asked === 'disconnect') {
    const run = () => disconnect({ connection }).then(() => done('It has been disconnected.'));
    return (
      <Confirm title="Disconnect it?" action="Disconnect" run={run} close={close}>
        <p>
          The gateway closes this one connection. The client may come back at once, and then goes on
          where it was: it misses nothing.
        </p>
      </Confirm>
    );
  }
  if (asked === 'disconnect-user') {
    const run = () => disconnect({ sub }).then(() => done(`${sub} has been disconnected.`));
    return (
      <Confirm title={`Disconnect ${sub}?`} action="Disconnect all" run={run} close={close}>
        <p>
          Every gateway closes all connections of <strong>{sub}</strong>. The clients may come back
          at once, and miss nothing.
        </p>
      </Confirm>
    );
  }
  if (asked === 'revoke') {
    const issuedBefore = new Date().toISOString();
    const run = () =>
      revoke({ sub, issuedBefore }).then(() => done(`The tokens of ${sub} are revoked.`));
    return (
      <Confirm title={`Revoke the tokens of ${sub}?`} action="Revoke" run={run} close={close}>
        <p>
          All tokens that <strong>{sub}</strong> has now stop working at every service, and the
          connections are closed. The user may come back with a token that is issued after now.
        </p>
      </Confirm>
    );
  }
  return null;
}
