import { signal } from '@preact/signals';
import type { Status, Tidemark } from '@tidemark/client';
import { type Inbox, openInbox } from '@tidemark/client/inbox';
import { openClient } from '../../events/client.ts';
import { type ItemActions, PAGE, type Rule, type RuleActions, type StateFilter } from './types.ts';

const SNOOZE_MS = 3_600_000;

/** The inbox of the client library for the page: what it shows as signals, and failures of marks for a person. */
export class LiveInbox {
  readonly view;
  readonly status = signal<Status | undefined>(undefined);
  /** Why the last mark or change was refused; it was taken back then. */
  readonly failure = signal<unknown>(undefined);
  /** Why the inbox could not be opened. */
  readonly ended = signal<unknown>(undefined);
  readonly itemActions: ItemActions;
  readonly ruleActions: RuleActions;
  readonly #client: Tidemark;
  readonly #inbox: Inbox;

  constructor(state: StateFilter) {
    this.#client = openClient();
    this.#client.on('status', (status) => {
      this.status.value = status;
    });
    const inbox = openInbox(this.#client, { limit: PAGE, ...(state !== '' && { state }) });
    this.#inbox = inbox;
    this.view = signal(inbox.view);
    inbox.on('change', (view) => {
      this.view.value = view;
    });
    inbox.ready.catch((error: unknown) => {
      this.ended.value = error;
    });
    this.itemActions = {
      read: (cursor) => this.#run(inbox.read({ cursors: [cursor] })),
      unread: (cursor) => this.#run(inbox.unread([cursor])),
      archive: (cursor) => this.#run(inbox.archive({ cursors: [cursor] })),
      unarchive: (cursor) => this.#run(inbox.unarchive([cursor])),
      snooze: (cursor) => this.#run(inbox.snooze([cursor], new Date(Date.now() + SNOOZE_MS))),
      unsnooze: (cursor) => this.#run(inbox.snooze([cursor], new Date(0))),
    };
    this.ruleActions = {
      follow: (pattern) => this.#run(inbox.follow(pattern)),
      unfollow: ({ pattern, types }: Rule) => this.#run(inbox.unfollow(pattern, types)),
      mute: (pattern) => this.#run(inbox.mute(pattern)),
      unmute: ({ pattern, types }: Rule) => this.#run(inbox.unmute(pattern, types)),
    };
  }

  seenAll(): void {
    this.#run(this.#inbox.seen());
  }

  readAll(): void {
    this.#run(this.#inbox.read());
  }

  older(): void {
    this.#run(this.#inbox.older());
  }

  close(): void {
    this.#inbox.close();
    this.#client.close();
  }

  #run(change: Promise<void>): void {
    this.failure.value = undefined;
    change.catch((error: unknown) => {
      this.failure.value = error;
    });
  }
}
