/*
 * Draws the pictures of infra/README.md from live data, without Grafana and without a browser:
 *   node infra/docs/pictures.mjs trace <Jaeger's URL> <trace id> > infra/trace.svg
 *   node infra/docs/pictures.mjs dashboard <Prometheus's URL> > infra/dashboard.svg
 * The dashboard's panels show what its queries give, in its places; Grafana draws them finer.
 */
import { readFileSync } from 'node:fs';

const COLORS = ['#3274d9', '#e0752d', '#299c46', '#8f3bb8', '#c4162a', '#b7a000'];
const DASHBOARD = new URL('../grafana/dashboards/tidemark.json', import.meta.url);

/** The time that the dashboard shows, and how finely. */
const SHOWN_S = 300;
const STEP_S = 5;

/** Pixels of a unit of the dashboard's grid. */
const UNIT_X = 50;
const UNIT_Y = 24;

/** @param {string} jaeger @param {string} traceId */
async function drawTrace(jaeger, traceId) {
  const { data } = await (await fetch(`${jaeger}/api/traces/${traceId}`)).json();
  const { spans, processes } = data[0];
  /** @param {any} span */
  const parentOf = (span) =>
    spans.find((/** @type {any} */ other) =>
      span.references.some(
        (/** @type {any} */ { refType, spanID }) =>
          refType === 'CHILD_OF' && spanID === other.spanID,
      ),
    );
  /** @param {any} span @returns {number} */
  const depth = (span) => (parentOf(span) ? depth(parentOf(span)) + 1 : 0);
  spans.sort((/** @type {any} */ a, /** @type {any} */ b) => a.startTime - b.startTime);
  const ordered = spans.filter((/** @type {any} */ span) => !parentOf(span)).flatMap(withChildren);
  /** @param {any} span @returns {any[]} */
  function withChildren(span) {
    const children = spans.filter((/** @type {any} */ other) => parentOf(other) === span);
    return [span, ...children.flatMap(withChildren)];
  }
  const start = Math.min(...spans.map((/** @type {any} */ span) => span.startTime));
  const end = Math.max(...spans.map((/** @type {any} */ span) => span.startTime + span.duration));
  const services = [...new Set(ordered.map(({ processID }) => processes[processID].serviceName))];
  const [left, width, row] = [400, 560, 26];
  const scale = width / Math.max(end - start, 1);
  const rows = ordered.map((span, index) => {
    const service = processes[span.processID].serviceName;
    const y = 58 + index * row;
    const x = left + (span.startTime - start) * scale;
    const color = COLORS[services.indexOf(service) % COLORS.length];
    const length = Math.max(span.duration * scale, 2);
    const label = `${(span.duration / 1000).toFixed(2)} ms`;
    const beside = x + length + 70 > left + width ? x - 6 : x + length + 6;
    return (
      text(16 + depth(span) * 16, y + 13, span.operationName, 12) +
      `<rect x="${x.toFixed(1)}" y="${y + 3}" width="${length.toFixed(1)}" height="14" rx="2" fill="${color}"/>` +
      text(
        beside,
        y + 14,
        label,
        10,
        beside < x ? ' text-anchor="end" fill="#555"' : ' fill="#555"',
      )
    );
  });
  const legend = services.map(
    (service, index) =>
      `<rect x="${16 + index * 150}" y="32" width="10" height="10" fill="${COLORS[index]}"/>` +
      text(30 + index * 150, 41, service, 11),
  );
  const title = text(
    16,
    20,
    `One event's way: ${((end - start) / 1000).toFixed(1)} ms`,
    14,
    ' font-weight="bold"',
  );
  return svg(left + width + 20, 70 + ordered.length * row, [title, ...legend, ...rows]);
}

/** @param {string} prometheus */
async function drawDashboard(prometheus) {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8'));
  const drawn = [];
  for (const panel of panels) {
    const series = [];
    for (const { expr, legendFormat } of panel.targets) {
      series.push(...(await query(prometheus, expr, legendFormat)));
    }
    drawn.push(drawPanel(panel, series));
  }
  const bottom = Math.max(...panels.map((/** @type {any} */ { gridPos: { y, h } }) => y + h));
  return svg(24 * UNIT_X, bottom * UNIT_Y, drawn);
}

/** @param {string} prometheus @param {string} expr @param {string} legend */
async function query(prometheus, expr, legend) {
  const end = Math.floor(Date.now() / 1000);
  const range = {
    query: expr,
    start: String(end - SHOWN_S),
    end: String(end),
    step: String(STEP_S),
  };
  const answer = await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams(range)}`);
  const { data } = await answer.json();
  return data.result.map((/** @type {any} */ { metric, values }) => ({
    name: legend.startsWith('__')
      ? Object.values(metric).join(' ').replace(/:\d+/, '')
      : legend.replace(/{{(\w+)}}/g, (_, label) => metric[label]),
    points: values.map((/** @type {any} */ [time, value]) => [time - end + SHOWN_S, Number(value)]),
  }));
}

/** @param {any} panel @param {{ name: string, points: [number, number][] }[]} series */
function drawPanel({ title, gridPos, fieldConfig }, series) {
  const [x, y] = [gridPos.x * UNIT_X + 4, gridPos.y * UNIT_Y + 4];
  const [width, height] = [gridPos.w * UNIT_X - 8, gridPos.h * UNIT_Y - 8];
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const max = Math.max(...values.filter(Number.isFinite), 0) || 1;
  const [top, foot] = [y + 28, y + height - 26];
  const lines = series.slice(0, COLORS.length).map(({ points }, index) => {
    const path = points
      .filter(([, value]) => Number.isFinite(value))
      .map(([time, value]) => {
        const px = x + 52 + (time / SHOWN_S) * (width - 62);
        return `${px.toFixed(0)},${(foot - (value / max) * (foot - top)).toFixed(0)}`;
      });
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${COLORS[index]}" stroke-width="1.5"/>`;
  });
  const names = series.slice(0, 3).map(({ name }, index) => {
    return text(
      x + 8 + index * 92,
      y + height - 8,
      `● ${name.slice(0, 16)}`,
      9,
      ` fill="${COLORS[index]}"`,
    );
  });
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="3" fill="#fff" stroke="#d8d9da"/>`,
    text(x + 8, y + 17, title, 11, ' font-weight="bold"'),
    text(
      x + 46,
      top + 6,
      format(max, fieldConfig.defaults.unit),
      9,
      ' text-anchor="end" fill="#555"',
    ),
    text(x + 46, foot, '0', 9, ' text-anchor="end" fill="#555"'),
    `<path d="M${x + 52} ${top}V${foot}H${x + width - 10}" fill="none" stroke="#d8d9da"/>`,
    ...lines,
    ...names,
  ].join('');
}

/** @param {number} value @param {string} unit */
function format(value, unit) {
  if (unit === 's')
    return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toPrecision(3)} s`;
  const [scaled, prefix] =
    value >= 1e6 ? [value / 1e6, 'M'] : value >= 1e3 ? [value / 1e3, 'k'] : [value, ''];
  return `${scaled.toPrecision(3)}${prefix}`;
}

/** @param {number} x @param {number} y @param {string} content @param {number} size @param {string} [more] */
function text(x, y, content, size, more = '') {
  const escaped = content.replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
  return `<text x="${x.toFixed(0)}" y="${y.toFixed(0)}" font-size="${size}"${more}>${escaped}</text>`;
}

/** @param {number} width @param {number} height @param {readonly string[]} parts */
function svg(width, height, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif"><rect width="100%" height="100%" fill="#f7f8fa"/>${parts.join('\n')}</svg>`;
}

const [what, url = '', id = ''] = process.argv.slice(2);
console.log(what === 'trace' ? await drawTrace(url, id) : await drawDashboard(url));
