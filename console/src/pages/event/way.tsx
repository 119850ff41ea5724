import { duration } from '../../ui/format.ts';
import { stepOf } from './steps.ts';
import type { TraceRow } from './trace-rows.ts';

interface WayProps {
  readonly rows: readonly TraceRow[];
  readonly totalMs: number;
}

/** The classes of the bars: one colour for each service, in the order in which they come. */
const COLOURS = ['way-1', 'way-2', 'way-3', 'way-4', 'way-5'];

/** A trace as a table whose last column is the picture: a bar for each span, on one scale of time. */
export function Way({ rows, totalMs }: WayProps) {
  const services = [...new Set(rows.map(({ span }) => span.service))];
  const colourOf = (service: string) => COLOURS[services.indexOf(service) % COLOURS.length];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached with the keyboard
    <div class="table-scroll" tabIndex={0}>
      <table class="way">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col" class="way-wide">
              Service
            </th>
            <th scope="col" class="number way-wide">
              After
            </th>
            <th scope="col" class="number">
              Takes
            </th>
            <th scope="col">
              <span class="hidden">Picture</span>
              <div class="way-scale" aria-hidden="true">
                <span>0</span>
                <span>{duration(totalMs / 2)}</span>
                <span>{duration(totalMs)}</span>
              </div>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <WayRow key={row.span.id} row={row} colour={colourOf(row.span.service)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function WayRow({ row, colour }: { row: TraceRow; colour: string | undefined }) {
  const { span, depth, afterMs, left, width } = row;
  const { text, more } = stepOf(span);
  return (
    <tr>
      <th scope="row" style={{ paddingLeft: `${14 + depth * 16}px` }} title={span.name}>
        {text}
        {more && <span class="quiet way-more"> {more}</span>}
        {span.error && <span class="bad-text"> failed</span>}
      </th>
      <td class="nowrap way-wide">
        <span class={`way-dot ${colour}`} aria-hidden="true" />
        {span.service.replace(/^tidemark-/, '')}
      </td>
      <td class="number way-wide">{duration(Math.max(0, afterMs))}</td>
      <td class="number">{duration(span.durationMs)}</td>
      <td class="way-picture">
        <span
          class={`way-bar ${span.error ? 'way-error' : colour}`}
          style={{ marginLeft: `${left}%`, width: `${width}%` }}
        />
      </td>
    </tr>
  );
}
