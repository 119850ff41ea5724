import { useMemo } from 'react';
import type { Status, Tidemark } from '../types.ts';
import { LiveStore, type Source, useLive } from './live-store.ts';
import { useTidemark } from './provider.ts';

const ON_SERVER: { readonly status: Status } = { status: { state: 'connecting' } };

/** What to show of the connection. On a server it is `connecting`. */
export function useStatus(): Status {
  const client = useTidemark();
  const store = useMemo(() => new LiveStore(client, statusOf(client), ON_SERVER), [client]);
  return useLive(store).status;
}

function statusOf(client: Tidemark): Source<{ readonly status: Status }> {
  let { status } = client;
  return {
    open: ({ changed }) => {
      const show = (next: Status) => {
        status = next;
        changed();
      };
      // It may have changed between the render and now.
      if (client.status.state !== status.state) show(client.status);
      return client.on('status', show);
    },
    view: () => ({ status }),
  };
}
