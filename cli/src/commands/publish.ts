import { appendFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CliError, codeOf, usageError } from '../base/errors.ts';
import { EXIT } from '../base/exit-codes.ts';
import { commaList, integer, oneOf } from '../base/parse.ts';
import { openInput, readText } from '../input/chunks.ts';
import { readCsv } from '../input/csv.ts';
import { isJson, withData } from '../input/json-text.ts';
import { readNdjson } from '../input/ndjson.ts';
import { formatCount, formatDuration, formatRate } from '../output/format.ts';
import { Progress } from '../output/progress.ts';
import { safeText } from '../output/safe-text.ts';
import type { Outcome } from '../publishing/batch-sender.ts';
import { type Defaults, SOURCE } from '../publishing/items.ts';
import { Journal } from '../publishing/journal.ts';
import { type Counts, publishRecords } from '../publishing/publish-file.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Options {
  readonly type?: string;
  readonly source?: string;
  readonly id?: string;
  readonly subject?: string;
  readonly expires?: string;
  readonly data?: string;
  readonly text?: boolean;
  readonly ifMatch?: string;
  readonly ifEmpty?: boolean;
  readonly file?: string;
  readonly format?: string;
  readonly convert?: boolean;
  readonly newIds?: boolean;
  readonly fromStart?: boolean;
  readonly maxErrors?: number;
  readonly refused?: string;
}

const FORMATS = ['ndjson', 'csv'] as const;
const DATA_BYTES_MAX = 1024 * 1024;
const ERRORS_MAX = 1000;
const ERRORS_SHOWN = 50;
const PUBLISH_ATTEMPTS = 5;

/** `tidemark publish`. */
export function publishCommand(host: Host): Command {
  const made = command({
    usage: 'publish [topic] [data]',
    summary: 'Store an event, or all events of a file',
    description: [
      'data is JSON, or else a text; - reads it from stdin. Prints the cursor of the event.\n\n--file publishes lines of JSON,',
      'or CSV whose first row names the columns. The columns topic, type, id, source, subject, time and expires are attributes;',
      'data is JSON; all others are fields of the data. The order of the lines is kept. The ids of events follow from the lines,',
      'and how far it came is noted: after an abort the same command goes on there, and nothing is stored twice. A line that is',
      'refused is told, and the others are stored; --refused keeps such lines in a file, to be corrected and published alone.',
      'A file that was published to its end and is published again some minutes later is stored again.',
    ].join(' '),
    examples: [
      `tidemark publish orders.42 '{"total": 12.5}' --type order.paid`,
      'echo hello | tidemark publish chat.lobby - --type chat.said --text',
      'tidemark publish --file orders.ndjson',
      'tidemark publish --file orders.csv --type order.imported --convert',
      'pg_dump_orders | tidemark publish --file - --json > outcome.ndjson',
    ],
  })
    .option('--type <type>', 'CloudEvents type; the topic if absent')
    .option('--source <uri>', `CloudEvents source (default: ${SOURCE})`)
    .option('--id <id>', 'the same id on the same topic is stored once')
    .option('--subject <text>', 'CloudEvents subject')
    .option('--expires <time>', 'RFC 3339 time from which nothing shows the event')
    .option('--data <data>', 'in place of the argument')
    .option('--text', 'data is a text, even if it is JSON')
    .option(
      '--if-match <cursors>',
      'only if one of these is the cursor of the last event of the topic',
    )
    .option('--if-empty', 'only if the topic has no event')
    .option('--file <path>', 'publish its lines; - is stdin')
    .option(
      '--format <format>',
      `${FORMATS.join(' or ')}; by the name of the file if absent`,
      oneOf('--format', FORMATS),
    )
    .option('--convert', 'CSV: numbers, true, false and empty fields become JSON values')
    .option('--new-ids', 'give each line a new id: what was stored before is stored again')
    .option('--from-start', 'pass over what an earlier run has noted')
    .option('--refused <path>', 'write refused lines to this file, CSV as lines of JSON')
    .option(
      '--max-errors <n>',
      `stop after more refused lines (default: ${ERRORS_MAX})`,
      integer('--max-errors', 0, 1e9),
    );
  return does<Options>(made, host, async (context, options, [topic, data]) => {
    if (options.file !== undefined) {
      if (data !== undefined) throw usageError('--file and data do not go together.');
      return publishFile(context, options, options.file, topic);
    }
    if (topic === undefined) throw usageError('A topic is needed, or --file.');
    await publishOne(context, options, topic, data ?? options.data);
  });
}

async function publishOne(
  context: Context,
  options: Options,
  topic: string,
  data: string | undefined,
): Promise<void> {
  const { output } = context;
  const api = await context.api();
  const { type = topic, source = SOURCE, id, subject, expires, ifMatch, ifEmpty } = options;
  if (ifMatch && ifEmpty) throw usageError('--if-match and --if-empty do not go together.');
  const attributes = {
    specversion: '1.0',
    // Made here, so that an attempt whose answer was lost is recognised.
    id: id ?? crypto.randomUUID(),
    source,
    type,
    topic,
    time: new Date().toISOString(),
    ...(subject && { subject }),
    ...(expires && { expires }),
  };
  const { body } = await api.send<{ cursor: string; duplicate: boolean }>({
    service: 'ingest',
    method: 'POST',
    path: '/v1/events',
    text: withData(attributes, await dataText(context, options, data)),
    headers: {
      'content-type': 'application/cloudevents+json',
      ...(ifMatch && {
        'if-match': commaList(ifMatch)
          .map((one) => `"${one}"`)
          .join(', '),
      }),
      ...(ifEmpty && { 'if-none-match': '*' }),
    },
    attempts: PUBLISH_ATTEMPTS,
  });
  if (output.json) return output.data(body);
  if (body.duplicate) output.message('It had been stored before.');
  await output.line(body.cursor);
}

/** The data as JSON text, whose numbers keep their digits; `undefined`: there is none. */
async function dataText(
  { stdin, signal }: Context,
  { text }: Options,
  data: string | undefined,
): Promise<string | undefined> {
  if (data === undefined) return undefined;
  const given = data === '-' ? await readText(openInput('-', stdin, signal), DATA_BYTES_MAX) : data;
  if (!text && isJson(given)) return given;
  return JSON.stringify(data === '-' ? given.replace(/\r?\n$/, '') : given);
}

async function publishFile(
  context: Context,
  options: Options,
  file: string,
  topic: string | undefined,
): Promise<void> {
  refuseSingleOptions(options);
  const { output, stdin, signal } = context;
  const api = await context.api();
  const isNamed = file !== '-' && options.newIds !== true;
  const input = openInput(file, stdin, signal);
  const format = options.format ?? (file.endsWith('.csv') ? 'csv' : 'ndjson');
  const records =
    format === 'csv' ? readCsv(input.chunks, options.convert === true) : readNdjson(input.chunks);
  const defaults = { type: options.type, topic, source: options.source ?? SOURCE };
  const isResumable = isNamed && input.size !== undefined;
  const journal = isResumable
    ? new Journal(file, keyOf(api.url('ingest'), defaults), context.environment)
    : undefined;
  const from = options.fromStart ? undefined : journal?.read();
  if (from && from.line > 0) output.message(goesOn(from.line));
  const progress = new Progress(output, 'Publishing');
  const startMs = performance.now();
  const shown = { errors: 0 };
  const counts = await publishRecords({
    api,
    records,
    defaults,
    file: isNamed ? file : undefined,
    journal,
    from,
    errorsMax: options.maxErrors ?? ERRORS_MAX,
    keep: (outcomes) => {
      if (options.refused) keepRefused(options.refused, outcomes);
    },
    onOutcomes: async (outcomes, now) => {
      await showOutcomes(context, outcomes, progress, shown);
      const rate = ((now.stored - (from?.stored ?? 0)) * 1000) / (performance.now() - startMs);
      const part = input.size ? input.read() / input.size : undefined;
      progress.show(
        part,
        `${formatCount(now.stored)} stored, ${now.refused} refused, ${formatRate(rate)}`,
      );
    },
    warn: (text) => output.message(text),
  })
    .catch((error) => {
      const noted = journal?.read();
      if (noted && noted.line > 0) output.message(goesOnLater(noted.line));
      throw error;
    })
    .finally(() => progress.clear());
  await summarize(context, counts, performance.now() - startMs);
  if (counts.refused > 0) {
    const text = `${formatCount(counts.refused)} lines were refused; all others are stored.`;
    throw new CliError(text, { code: 'lines_refused', exitCode: EXIT.failure });
  }
}

/** Names what a journal belongs to, beside its file. */
function keyOf(url: string, { source, topic = '', type = '' }: Defaults): string {
  return `${url}\0${source}\0${topic}\0${type}`;
}

function goesOn(line: number): string {
  return `It goes on after line ${formatCount(line)}, where an earlier run ended; --from-start begins anew.`;
}

function goesOnLater(line: number): string {
  return `Everything up to line ${formatCount(line)} is done; the same command goes on there.`;
}

/** Adds to a file, which an earlier part of the same work may have begun. */
function keepRefused(path: string, outcomes: readonly Outcome[]): void {
  const lines = outcomes.flatMap((one) => ('error' in one && one.text ? [`${one.text}\n`] : []));
  if (lines.length === 0) return;
  try {
    appendFileSync(path, lines.join(''));
  } catch (error) {
    throw usageError(`${path} cannot be written (${codeOf(error)}).`);
  }
}

function refuseSingleOptions(options: Options): void {
  for (const name of ['id', 'subject', 'expires', 'data', 'ifMatch', 'ifEmpty', 'text'] as const) {
    if (options[name] === undefined) continue;
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw usageError(`--${flag} is for one event, and not for --file.`);
  }
}

async function showOutcomes(
  { output }: Context,
  outcomes: readonly Outcome[],
  progress: Progress,
  shown: { errors: number },
): Promise<void> {
  for (const outcome of outcomes) {
    if (output.json) await output.data({ ...outcome, text: undefined });
    else if ('error' in outcome) {
      shown.errors++;
      if (shown.errors > ERRORS_SHOWN) continue;
      progress.clear();
      const { code, message } = outcome.error;
      const text = `line ${outcome.line}: ${code}: ${safeText(message)}`;
      output.error(output.messageStyle('red', text));
      if (shown.errors === ERRORS_SHOWN)
        output.error('Further refused lines are only counted; --json tells all.');
    }
  }
}

async function summarize({ output }: Context, counts: Counts, ms: number): Promise<void> {
  if (output.json) return output.data({ summary: counts });
  const { stored, duplicates } = counts;
  const before = duplicates > 0 ? `, ${formatCount(duplicates)} of them before` : '';
  output.message(
    `${formatCount(stored)} events are stored${before}. It took ${formatDuration(ms)}.`,
  );
}
