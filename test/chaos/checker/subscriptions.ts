import type { EventRecord, HistoryRecord, SubscribeRecord } from '../history.ts';
import { Connection, type Permissions } from './connections.ts';
import { Follower } from './follower.ts';

const NOT_LIVE = 'live after the last fault';

/** Gives each record of a history to the subscriptions that it concerns, in the order of their times. */
export class Subscriptions {
  readonly #permissions: Permissions;
  readonly #connections = new Map<string, Connection>();
  readonly #followers = new Map<string, Follower>();
  /** The highest acknowledged sequence of the final log. */
  #acknowledgedEnd = 0;

  constructor(permissions: Permissions) {
    this.#permissions = permissions;
  }

  get received(): number {
    let received = 0;
    for (const follower of this.#followers.values()) received += follower.received;
    return received;
  }

  get count(): number {
    return this.#followers.size;
  }

  take(record: HistoryRecord): void {
    switch (record.kind) {
      case 'publish-answer':
        if (record.cursor && record.outcome !== 'refused') this.#acknowledge(record.cursor);
        return;
      case 'connect':
        this.#connections.set(record.connection, new Connection(record, this.#permissions));
        return;
      case 'authenticated':
        this.#connections.get(record.connection)?.authenticate(record);
        return;
      case 'reading': {
        const connection = this.#connections.get(record.connection);
        if (connection && record.paused) connection.wasPaused = true;
        return;
      }
      case 'connection-closed':
        this.#close(record.connection, record.atMs);
        return;
      case 'leave': {
        const follower = this.#followers.get(record.subscription);
        if (follower) follower.hasLeft = true;
        return;
      }
      default:
        this.#deliver(record);
    }
  }

  /** At the end: every subscription that nobody has left is live, in time, and has everything. */
  finish(atMs: number): void {
    const { bounds, truth } = this.#permissions;
    for (const connection of this.#connections.values()) connection.checkClosed(atMs);
    for (const follower of this.#followers.values()) {
      if (follower.hasLeft) continue;
      const { name, connection, liveMs, state } = follower;
      const concern = { subscription: name, connection };
      const fromMs = Math.max(truth.faults.lastEndMs, follower.askedMs);
      if (state !== 'confirmed' || liveMs === undefined) {
        const text = `${name} is ${state} and not live at the end, ${atMs - fromMs} ms after the last fault or its subscribe`;
        truth.found.violate(NOT_LIVE, fromMs + bounds.liveMs, text, concern);
        continue;
      }
      if (liveMs - fromMs > bounds.liveMs) {
        const text = `${name} was live only ${liveMs - fromMs} ms after the last fault or its subscribe`;
        truth.found.violate(NOT_LIVE, liveMs, text, concern);
      }
      follower.finish({ atMs, connection });
    }
  }

  #deliver(record: HistoryRecord): void {
    switch (record.kind) {
      case 'subscribe':
        this.#subscribe(record);
        return;
      case 'subscribed':
        this.#checkCursor(record.connection, record.cursor, record.atMs);
        this.#followers.get(record.subscription)?.confirm(record);
        return;
      case 'event':
        this.#receive(record);
        return;
      case 'live': {
        this.#checkCursor(record.connection, record.cursor, record.atMs);
        const isSse = this.#connections.get(record.connection)?.isSse ?? false;
        this.#followers.get(record.subscription)?.goLive(record, isSse);
        return;
      }
      case 'gap':
        this.#followers.get(record.subscription)?.passGap(record);
        return;
      case 'skipped':
        this.#followers.get(record.subscription)?.skip(record);
        return;
      case 'heartbeat':
        this.#beat(record.connection, record.cursor, record.atMs);
        return;
      case 'unsubscribed': {
        const follower = this.#followers.get(record.subscription);
        if (follower?.connection !== record.connection) return;
        this.#connections.get(record.connection)?.followers.delete(follower);
        follower.leave();
        return;
      }
    }
  }

  #subscribe(record: SubscribeRecord): void {
    const name = record.subscription;
    let follower = this.#followers.get(name);
    if (!follower) {
      follower = new Follower(name, this.#permissions.truth);
      this.#followers.set(name, follower);
    }
    follower.ask(record, this.#acknowledgedEnd);
    this.#connections.get(record.connection)?.followers.add(follower);
  }

  #receive({ connection: name, cursor, topic, id, atMs }: EventRecord): void {
    const connection = this.#connections.get(name);
    const { log, found } = this.#permissions.truth;
    connection?.checkEvent(topic, id, atMs);
    const event = { connection: name, cursor, topic, id, atMs, place: log.places.find(cursor) };
    let takers = 0;
    for (const follower of connection?.followers ?? []) {
      if (!follower.takes(event)) continue;
      takers++;
      follower.receive(event);
    }
    if (takers > 0) return;
    const text = `${name} got ${id} of ${topic} at ${cursor}, which no subscription there asks for (any more)`;
    const [first] = connection?.followers ?? [];
    const concern = { connection: name, topic, id };
    const whose = first ? { subscription: first.name } : {};
    found.violate('once, in order, of its patterns', atMs, text, { ...concern, ...whose });
  }

  #beat(name: string, cursor: string, atMs: number): void {
    const connection = this.#connections.get(name);
    if (!connection) return;
    const place = this.#checkCursor(name, cursor, atMs);
    for (const follower of connection.followers) {
      follower.passHeartbeat(place, cursor, { atMs, connection: name });
    }
  }

  #checkCursor(name: string, cursor: string, atMs: number) {
    const place = this.#permissions.truth.log.places.find(cursor);
    this.#connections.get(name)?.checkCursor(place, atMs);
    return place;
  }

  #close(name: string, atMs: number): void {
    const connection = this.#connections.get(name);
    if (!connection) return;
    connection.checkClosed(atMs);
    for (const follower of connection.followers) {
      if (follower.connection === name) follower.leave();
    }
    this.#connections.delete(name);
  }

  #acknowledge(cursor: string): void {
    const place = this.#permissions.truth.log.places.find(cursor);
    if (place.lost || place.foreign) return;
    this.#acknowledgedEnd = Math.max(this.#acknowledgedEnd, place.sequence);
  }
}
