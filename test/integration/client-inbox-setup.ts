import { connect, type Tidemark } from '@tidemark/client';
import { type Inbox, type InboxOptions, openInbox } from '@tidemark/client/inbox';
import { systemEnvironment } from '../../libs/client/src/environment.ts';
import { OpenInbox } from '../../libs/client/src/inbox/open-inbox.ts';
import { makeToken } from '../support/services.ts';
import type { System } from '../support/system.ts';
import { until } from '../support/until.ts';
import { INBOX_SCOPE, type InboxPage, InboxUser } from './inbox-setup.ts';

/** One user with some devices, each with an inbox that the client library keeps. */
export class Devices {
  readonly user: InboxUser;
  readonly #system: System;
  readonly #name: string;
  readonly #random: (() => number) | undefined;
  readonly #open: { readonly tidemark: Tidemark; readonly inbox: Inbox }[] = [];

  /** @param random where waits come from, such as those after an erasure; of the platform if absent */
  constructor(system: System, name: string, random?: () => number) {
    this.#random = random;
    this.#system = system;
    this.#name = name;
    this.user = new InboxUser(system.replay, name);
  }

  async open(options?: InboxOptions, scope = INBOX_SCOPE): Promise<Inbox> {
    const { gateway, replay } = this.#system;
    const token = await makeToken(scope, this.#name);
    const tidemark = connect({ url: gateway.url, replayUrl: replay.url, token });
    const random = this.#random;
    const inbox: Inbox = random
      ? new OpenInbox(tidemark, options ?? {}, { ...systemEnvironment(), random })
      : openInbox(tidemark, options);
    this.#open.push({ tidemark, inbox });
    await inbox.ready;
    return inbox;
  }

  close(): void {
    for (const { tidemark, inbox } of this.#open.splice(0)) {
      inbox.close();
      tidemark.close();
    }
  }

  /** Waits until an inbox shows what the service answers; both have everything up to a cursor. */
  async agrees(
    inbox: Inbox,
    { atLeast = '', query = '' } = {},
    before: (inbox: Inbox) => Promise<void> = async () => {},
  ): Promise<InboxPage> {
    let page: InboxPage | undefined;
    const at = atLeast && `&atLeast=${atLeast}`;
    const isSame = async () => {
      await before(inbox);
      page = await this.user.page(`?limit=1000${query}${at}`);
      return JSON.stringify(seenIn(inbox)) === JSON.stringify(answered(page));
    };
    await until(isSame, () => {
      return `${JSON.stringify(seenIn(inbox), null, 1)}\nis\n${page && JSON.stringify(answered(page), null, 1)}`;
    });
    return page as InboxPage;
  }
}

function seenIn({ view }: Inbox) {
  const items = view.items.map(({ cursor, event, state }) => [cursor, event.id, flags(state)]);
  return { items, counts: plain(view.counts) };
}

function answered({ items, ...counts }: InboxPage) {
  return {
    items: items.map(({ cursor, event, state }) => [cursor, event.id, flags(state)]),
    counts: plain(counts),
  };
}

const plain = ({ unseen, unread, more }: { unseen: number; unread: number; more: boolean }) => [
  unseen,
  unread,
  more,
];

function flags(state: InboxPage['items'][number]['state']) {
  const { seen, read, archived, snoozed = '' } = state;
  return [seen, read, archived, snoozed];
}
