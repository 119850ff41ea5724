import { useEffect, useRef, useState } from 'preact/hooks';
import type { GatewayAnswer } from '../../api/types.ts';
import { replaceQuery, route } from '../../ui/route.ts';
import type { Filters } from './calls.ts';

/** After the last key of a name. */
const TYPING_MS = 350;

interface FilterBarProps {
  readonly filters: Filters;
  readonly gateways: readonly GatewayAnswer[];
}

/** The filters of an address. */
export function readFilters(query: URLSearchParams): Filters {
  return {
    sub: query.get('sub') ?? '',
    gateway: query.get('gateway') ?? '',
    transport: query.get('transport') ?? '',
    slow: query.get('slow') === 'true',
  };
}

/** What the table shows. The address has it, so that a link shows the same. */
export function FilterBar({ filters, gateways }: FilterBarProps) {
  const change = (part: Partial<Filters>) => {
    // Typing changes the address some time later, when another filter may have changed too.
    const { slow, ...texts } = { ...readFilters(route.peek().query), ...part };
    replaceQuery({ ...texts, slow: slow ? 'true' : undefined });
  };
  const names = gateways.map(({ gateway }) => gateway);
  const listed = filters.gateway && !names.includes(filters.gateway) ? [filters.gateway] : [];
  return (
    <search class="filters">
      <SubField value={filters.sub} change={(sub) => change({ sub })} />
      <label class="field">
        Gateway
        <select
          value={filters.gateway}
          onChange={(event) => change({ gateway: event.currentTarget.value })}
        >
          <option value="">all</option>
          {[...names, ...listed].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label class="field">
        Transport
        <select
          value={filters.transport}
          onChange={(event) => change({ transport: event.currentTarget.value })}
        >
          <option value="">both</option>
          <option value="websocket">WebSocket</option>
          <option value="sse">SSE</option>
        </select>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={filters.slow}
          onChange={(event) => change({ slow: event.currentTarget.checked })}
        />
        Only slow ones
      </label>
    </search>
  );
}

function SubField({ value, change }: { value: string; change: (sub: string) => void }) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  useEffect(() => {
    // What was sent comes back while somebody types on.
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);
  useEffect(() => {
    if (text.trim() === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = text.trim();
      change(sent.current);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="field">
      User
      <input
        type="search"
        value={text}
        placeholder="the whole sub"
        spellcheck={false}
        data-search
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}
