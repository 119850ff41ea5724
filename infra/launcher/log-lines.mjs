const NAME_WIDTH = 8;
const LINE_LENGTH_MAX = 4000;

/**
 * What clients choose can be in any line: line breaks, sequences that move the cursor, and characters that
 * hide text or turn it around.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** @type {Record<number, string>} pino's numbers; other levels are not shown */
const LEVELS = { 20: 'DEBUG ', 40: 'WARN ', 50: 'ERROR ', 60: 'FATAL ' };

/** Fields that a line for people leaves out. */
const SILENT = new Set([
  'level',
  'time',
  'msg',
  'service',
  'pid',
  'hostname',
  'err',
  'configuration',
  'trace_id',
  'span_id',
  'trace_flags',
]);

/**
 * Turns a line that a process wrote into a line for people; `undefined`: it is not shown.
 *
 * @param {string} name
 * @param {string} text
 * @param {string} [part] what the process is an instance of; its name where absent
 * @returns {string | undefined}
 */
export function readable(name, text, part = name) {
  if (text === '') return undefined;
  if (part === 'nats') return natsLine(name, text);
  const { line, cause } = text.startsWith('{') ? fromJson(text) : { line: text, cause: '' };
  // The lines of a stack are indented, so that no text in it looks like a line of its own.
  const below = cause.split('\n').filter((one) => one !== '');
  const shown = [prefixed(name, new Date(), line), ...below.map((one) => `  ${escaped(one)}`)];
  return shown.join('\n').slice(0, LINE_LENGTH_MAX);
}

/** @param {string} name @param {Date} time @param {string} text */
export function prefixed(name, time, text) {
  const clock = time.toTimeString().slice(0, 8);
  return `${clock} ${name.padEnd(NAME_WIDTH)} ${escaped(text)}`.slice(0, LINE_LENGTH_MAX);
}

/** @param {string} text */
function escaped(text) {
  return text.replace(UNPRINTABLE, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}

/** nats-server writes `[pid] date time [LVL] text`, with many [INF] lines at each start. */
function natsLine(/** @type {string} */ name, /** @type {string} */ text) {
  const match = /^\[\d+\] \S+ \S+ \[(\w+)\] (.*)$/.exec(text);
  if (match?.[1] === 'INF') return undefined;
  return prefixed(name, new Date(), match ? `${match[1]} ${match[2]}` : text);
}

/** @param {string} text @returns {{ line: string, cause: string }} */
function fromJson(text) {
  let line;
  try {
    line = JSON.parse(text);
  } catch {
    return { line: text, cause: '' };
  }
  const fields = Object.entries(line)
    .filter(([key]) => !SILENT.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return {
    line: [`${LEVELS[line.level] ?? ''}${line.msg ?? ''}`, ...fields].join(' '),
    cause: String(line.err?.stack ?? line.err?.message ?? ''),
  };
}
