import type { Sample } from './trend.ts';

/** A measured value over time, and what was found. */
export interface Panel {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly verdict: string;
  readonly isFlat: boolean;
}

const COLUMNS = 3;
const WIDTH = 320;
const HEIGHT = 150;
const PLOT_HEIGHT = 90;
const MARGIN = 20;

/** Draws the panels as one SVG. Each begins at zero, so that a small trend looks small. */
export function draw(panels: readonly Panel[]): string {
  const rows = Math.ceil(panels.length / COLUMNS);
  const [width, height] = [COLUMNS * WIDTH, rows * HEIGHT];
  const body = panels.map((panel, index) => {
    const [x, y] = [(index % COLUMNS) * WIDTH, Math.floor(index / COLUMNS) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`;
  });
  const style = 'font-family="sans-serif" font-size="11"';
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>
<rect width="100%" height="100%" fill="white"/>
${body.join('\n')}
</svg>
`;
}

function drawPanel({ name, samples, verdict, isFlat }: Panel): string {
  const highest = Math.max(...samples.map(({ value }) => value), 1e-9);
  const [first = { atS: 0 }, last = { atS: 1 }] = [samples[0], samples.at(-1)];
  const scale = (WIDTH - 2 * MARGIN) / Math.max(last.atS - first.atS, 1);
  const points = samples.map(({ atS, value }) => {
    const x = MARGIN + (atS - first.atS) * scale;
    const y = 40 + PLOT_HEIGHT * (1 - value / highest);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const color = isFlat ? '#299c46' : '#c4162a';
  return `<text x="${MARGIN}" y="16" font-weight="bold">${name}</text>
<text x="${MARGIN}" y="30" fill="${color}">${verdict}</text>
<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${40 + PLOT_HEIGHT}" y2="${40 + PLOT_HEIGHT}" stroke="#ccc"/>
<polyline fill="none" stroke="#3274d9" points="${points.join(' ')}"/>`;
}
