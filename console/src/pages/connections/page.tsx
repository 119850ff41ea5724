import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import type { Connection } from '../../api/types.ts';
import { count } from '../../ui/format.ts';
import { Icon } from '../../ui/icon.tsx';
import { Panel } from '../../ui/panel.tsx';
import { route } from '../../ui/route.ts';
import { Empty, Failed, Loading, Notice } from '../../ui/states.tsx';
import { useResource } from '../../ui/use-resource.ts';
import { type Filters, listConnections } from './calls.ts';
import { Details } from './details.tsx';
import { FilterBar, readFilters } from './filters.tsx';
import { Pager } from './pager.tsx';
import { RevocationDialog } from './revocation-dialog.tsx';
import { ConnectionTable } from './table.tsx';

const REFRESH_MS = 3000;

const refreshes = signal(false);

/** The `after` of each page that was turned to, with the filters of its time. */
interface Turned {
  readonly key: string;
  readonly pages: readonly string[];
}

/** Who is connected, where to, how far behind, and why. */
export default function ConnectionsPage() {
  const filters = readFilters(route.value.query);
  const key = JSON.stringify(filters);
  const [turned, setTurned] = useState<Turned>({ key, pages: [] });
  const [shown, setShown] = useState<Connection>();
  const [revoking, setRevoking] = useState(false);
  // A page of other filters is not a page of these.
  const pages = turned.key === key ? turned.pages : [];
  const after = pages.at(-1) ?? '';
  const everyMs = refreshes.value ? REFRESH_MS : undefined;
  const { data, error, loading, reload } = useResource(
    `${key} ${after}`,
    (signal) => listConnections(filters, after, signal),
    { everyMs, keep: true },
  );
  const latest = shown && data?.items.find(({ connection }) => connection === shown.connection);
  return (
    <>
      <FilterBar filters={filters} gateways={data?.gateways ?? []} />
      <Panel
        title="Connections"
        flush
        actions={
          <>
            {data && <Totals connections={data.gateways.map((one) => one.connections)} />}
            <label class="check">
              <input
                type="checkbox"
                checked={refreshes.value}
                onChange={(event) => {
                  refreshes.value = event.currentTarget.checked;
                }}
              />
              every 3 s
            </label>
            <button type="button" onClick={reload} disabled={loading && !everyMs}>
              <Icon name="refresh" /> Refresh
            </button>
            <button type="button" onClick={() => setRevoking(true)}>
              Revoke tokens …
            </button>
          </>
        }
      >
        {error !== undefined && <Failed error={error} retry={reload} />}
        {data && <Silent gateways={data.gateways.filter(({ answered }) => !answered)} />}
        {!data && error === undefined && <Loading lines={8} />}
        {data && data.items.length === 0 && <Nothing filtered={isFiltered(filters)} />}
        {data && data.items.length > 0 && <ConnectionTable rows={data.items} show={setShown} />}
        {data && (
          <Pager
            pages={pages}
            setPages={(next) => setTurned({ key, pages: next })}
            next={data.next}
          />
        )}
      </Panel>
      {shown && (
        <Details
          connection={latest ?? shown}
          gone={latest === undefined}
          close={() => setShown(undefined)}
          changed={reload}
        />
      )}
      {revoking && <RevocationDialog close={() => setRevoking(false)} />}
    </>
  );
}

function isFiltered({ sub, gateway, transport, slow }: Filters): boolean {
  return slow || [sub, gateway, transport].some((one) => one !== '');
}

function Totals({ connections }: { connections: readonly number[] }) {
  const total = connections.reduce((sum, one) => sum + one, 0);
  return <span class="quiet">{count(total)} in all</span>;
}

function Silent({ gateways }: { gateways: readonly { readonly gateway: string }[] }) {
  if (gateways.length === 0) return null;
  const names = gateways.map(({ gateway }) => gateway).join(', ');
  return <Notice kind="warning">Without an answer, and so not in the list: {names}</Notice>;
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (!filtered) return <Empty title="Nobody is connected." />;
  return <Empty title="No connection fits.">Take a filter away to see more.</Empty>;
}
