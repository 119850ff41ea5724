import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useState,
} from 'react';
import { connect } from '../client.ts';
import type { Inbox, InboxOptions } from '../inbox/types.ts';
import type { ConnectOptions, EventMap, Tidemark } from '../types.ts';
import type { InboxStore } from './inbox-store.ts';
import { afterTask, useLatest } from './timing.ts';

/** Any `OpenInbox` is one. */
type OpenStub = (options?: InboxOptions) => Inbox;

/** What the hooks below a provider share. */
export interface Scope {
  readonly client: Tidemark;
  readonly openInbox: { readonly current: OpenStub | undefined };
  /** By their options. */
  readonly inboxes: Map<string, InboxStore>;
}

const ScopeContext = createContext<Scope | undefined>(undefined);

interface CommonProps {
  /** Stands in for `openInbox`, such as the double of `@tidemark/client/testing`. */
  readonly openInbox?: OpenStub;
  readonly children?: ReactNode;
}

/** Either a client, which stays the caller's, or the options of one that lives as long as the provider. */
export type TidemarkProviderProps<Events extends EventMap = Record<string, unknown>> = CommonProps &
  (
    | { readonly client: Tidemark<Events>; readonly options?: never }
    | { readonly client?: never; readonly options: ConnectOptions }
  );

/**
 * Gives a client to the hooks below it.
 *
 * With `options` it makes the client and closes it when it is unmounted. Another URL, or another token that is a text,
 * makes another client; functions may be new ones at each render.
 * @throws TypeError with neither `client` nor `options`
 */
export function TidemarkProvider<Events extends EventMap = Record<string, unknown>>({
  client,
  options,
  openInbox,
  children,
}: TidemarkProviderProps<Events>): ReactElement {
  const own = useOwnClient(client ? undefined : options);
  const given = (client as unknown as Tidemark | undefined) ?? own;
  if (!given) throw new TypeError('<TidemarkProvider> needs `client` or `options`.');
  const latest = useLatest(openInbox);
  const scope = useMemo<Scope>(
    () => ({ client: given, openInbox: latest, inboxes: new Map() }),
    [given, latest],
  );
  return createElement(ScopeContext.Provider, { value: scope }, children);
}

/** The client of the provider above. @throws TypeError where there is no provider */
export function useTidemark<Events extends EventMap = Record<string, unknown>>(): Tidemark<Events> {
  return useScope().client as unknown as Tidemark<Events>;
}

/** @throws TypeError where there is no provider */
export function useScope(): Scope {
  const scope = useContext(ScopeContext);
  if (!scope) throw new TypeError('The hooks of Tidemark need a <TidemarkProvider> above them.');
  return scope;
}

/** A client that connects to nothing before something subscribes, and is closed after its last holder has gone. */
class OwnClient {
  readonly client: Tidemark;
  isClosed = false;
  #cancelClosing: (() => void) | undefined;

  constructor(options: ConnectOptions) {
    this.client = connect(options);
  }

  hold(): () => void {
    this.#cancelClosing?.();
    return () => {
      this.#cancelClosing = afterTask(() => {
        this.isClosed = true;
        this.client.close();
      });
    };
  }
}

function useOwnClient(options: ConnectOptions | undefined): Tidemark | undefined {
  const latest = useLatest(options);
  const [renewals, setRenewals] = useState(0);
  const key = options && keyOf(options);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says which options make another client
  const own = useMemo(
    () => options && new OwnClient(followLatest(options, latest)),
    [key, renewals],
  );
  useEffect(() => {
    // A part of the page that was hidden and comes back.
    if (own?.isClosed) return setRenewals((n) => n + 1);
    return own?.hold();
  }, [own]);
  return own?.client;
}

function keyOf({ url, ingestUrl, replayUrl, token }: ConnectOptions): string {
  const text = typeof token === 'string' ? token : null;
  return JSON.stringify([url, ingestUrl, replayUrl, text]);
}

/** Its functions are those of the last render. */
function followLatest(
  options: ConnectOptions,
  latest: { readonly current: ConnectOptions | undefined },
): ConnectOptions {
  const present = () => latest.current ?? options;
  const token = () => {
    const { token } = present();
    return typeof token === 'string' ? token : token();
  };
  return { ...options, token, traceparent: () => present().traceparent?.() };
}
