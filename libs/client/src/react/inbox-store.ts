import { closedError } from '../errors.ts';
import { openInbox } from '../inbox/index.ts';
import type { Inbox, InboxOptions, InboxView } from '../inbox/types.ts';
import { type Hearer, LiveStore, type Source } from './live-store.ts';
import type { Scope } from './provider.ts';

/** What changes an inbox. The functions stay the same ones, and need no `this`. */
export type InboxActions = Omit<Inbox, 'view' | 'ready' | 'on' | 'close'>;

const EMPTY: InboxView = {
  isReady: false,
  items: [],
  counts: { unseen: 0, unread: 0, more: false },
  hasOlder: false,
  follows: [],
  mutes: [],
};

/** One inbox for all components that ask for the same; open while one of them is mounted. */
export interface InboxStore {
  readonly store: LiveStore<InboxView>;
  readonly actions: InboxActions;
}

/** The inbox with these options, which are JSON, of the provider. */
export function sharedInbox(scope: Scope, key: string): InboxStore {
  const known = scope.inboxes.get(key);
  if (known) return known;
  const source = new InboxSource(scope, JSON.parse(key));
  const shared = { store: new LiveStore(scope.client, source), actions: source.actions };
  scope.inboxes.set(key, shared);
  return shared;
}

class InboxSource implements Source<InboxView> {
  readonly actions: InboxActions;
  readonly #open: () => Inbox;
  #inbox: Inbox | undefined;
  /** That of before, until an inbox that was opened again is ready. */
  #view = EMPTY;

  constructor(scope: Scope, options: InboxOptions) {
    this.#open = () => scope.openInbox.current?.(options) ?? openInbox(scope.client, options);
    this.actions = actionsOf(() => this.#inbox);
  }

  view(): InboxView {
    const view = this.#inbox?.view;
    if (view && (view.isReady || !this.#view.isReady)) this.#view = view;
    return this.#view;
  }

  open(hearer: Hearer): () => void {
    const inbox = this.#open();
    this.#inbox = inbox;
    const endChanges = inbox.on('change', hearer.changed);
    inbox.ready.then(hearer.changed, hearer.failed);
    return () => {
      endChanges();
      inbox.close();
      this.#inbox = undefined;
    };
  }
}

/** They find the inbox when they are called: it opens after the first render. */
function actionsOf(present: () => Inbox | undefined): InboxActions {
  // At once, because a mark is shown at once.
  const run = (action: (inbox: Inbox) => Promise<void>) => {
    const inbox = present();
    return inbox ? action(inbox) : Promise.reject(closedError());
  };
  return {
    older: () => run((inbox) => inbox.older()),
    seen: (target) => run((inbox) => inbox.seen(target)),
    read: (target) => run((inbox) => inbox.read(target)),
    archive: (target) => run((inbox) => inbox.archive(target)),
    unread: (cursors) => run((inbox) => inbox.unread(cursors)),
    unarchive: (cursors) => run((inbox) => inbox.unarchive(cursors)),
    snooze: (cursors, until) => run((inbox) => inbox.snooze(cursors, until)),
    follow: (pattern, types) => run((inbox) => inbox.follow(pattern, types)),
    unfollow: (pattern, types) => run((inbox) => inbox.unfollow(pattern, types)),
    mute: (pattern, types) => run((inbox) => inbox.mute(pattern, types)),
    unmute: (pattern, types) => run((inbox) => inbox.unmute(pattern, types)),
  };
}
