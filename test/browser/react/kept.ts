/** What the page keeps for the test to look at. */
export interface Kept {
  /** Ids of the events that `onEvent` got. */
  heard: string[];
  /** Ids of the list, or `topic id` of the map, as last rendered. */
  shown: string[];
  /** How often it was rendered to the page, and how many frames there were meanwhile. */
  commits: number;
  frames: number;
  isLive: boolean;
  gaps: number;
  error: string | undefined;
  /** States of the connection as they were rendered. */
  states: string[];
  /** Calls of the stub inbox, and how often one was opened and closed. */
  calls: string[];
  opened: number;
  closed: number;
  /** What React complains about. */
  complaints: string[];
}

/** What a page is to show. */
export interface Settings {
  /** Of the gateway; without one, the client is a stub. */
  readonly url: string;
  readonly token: string;
  readonly topics: readonly string[];
  readonly after?: string;
  readonly name?: string;
  readonly limit?: number;
  /** `onEvent` throws at this id. */
  readonly failAt?: string;
}

/** What a page can show; `hidden` is the feed in a part of the page that is not visible (from React 19.2 on). */
export type What = 'feed' | 'hidden' | 'map' | 'bell' | 'bells' | 'nothing';

/** What the module of the page offers. */
export interface Program {
  readonly version: string;
  readonly kept: Kept;
  /** Shows it in Strict Mode; again: with a new render of the same. */
  show(what: What, settings: Settings): void;
  /** Takes over what the server has rendered into the root. */
  hydrate(settings: Settings): void;
  unmount(): void;
  /** Whether the client that the hooks used last is closed. */
  isClosed(): boolean;
  /** `authenticate` of the client. */
  authenticate(): Promise<void>;
  /** The stub of the client has this state. */
  setState(state: 'live' | 'catching-up'): void;
  /** New items come to the stub inbox. */
  arrive(count: number): void;
  /** Items that the stub inbox lists no more. */
  take(cursor: string): void;
  /** The next call of the stub inbox is refused. */
  refuse(): void;
}
