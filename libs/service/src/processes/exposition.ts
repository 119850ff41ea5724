/**
 * Puts the metrics of several processes into one text. Prometheus wants all series of a metric side by side, with
 * one description; what tells the processes apart is a label of each series.
 */
export function mergeMetrics(texts: readonly string[]): string {
  const series = new Map<string, string[]>();
  for (const text of texts) {
    let lines: string[] = [];
    for (const line of text.split('\n')) {
      if (line === '') continue;
      if (!line.startsWith('# ')) {
        lines.push(line);
        continue;
      }
      // `# HELP` comes before `# TYPE`, and both before the series.
      const [, kind, name = ''] = line.split(' ', 3);
      if (kind === 'HELP') lines = seriesOf(series, name, line);
      else if (!lines[1]?.startsWith('# TYPE ')) lines.splice(1, 0, line);
    }
  }
  return `${[...series.values()].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function seriesOf(series: Map<string, string[]>, name: string, help: string): string[] {
  const known = series.get(name);
  if (known) return known;
  const lines = [help];
  series.set(name, lines);
  return lines;
}
