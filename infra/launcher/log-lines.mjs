const NAME_WIDTH = 8;
const LINE_LENGTH_MAX = 4000;

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
  return prefixed(name, new Date(), text.startsWith('{') ? fromJson(text) : text);
}

/** @param {string} name @param {Date} time @param {string} text */
export function prefixed(name, time, text) {
  const clock = time.toTimeString().slice(0, 8);
  return `${clock} ${name.padEnd(NAME_WIDTH)} ${text}`.slice(0, LINE_LENGTH_MAX);
}

/** nats-server writes `[pid] date time [LVL] text`, with many [INF] lines at each start. */
function natsLine(/** @type {string} */ name, /** @type {string} */ text) {
  const match = /^\[\d+\] \S+ \S+ \[(\w+)\] (.*)$/.exec(text);
  if (match?.[1] === 'INF') return undefined;
  return prefixed(name, new Date(), match ? `${match[1]} ${match[2]}` : text);
}

/** @param {string} text */
function fromJson(text) {
  let line;
  try {
    line = JSON.parse(text);
  } catch {
    return text;
  }
  const fields = Object.entries(line)
    .filter(([key]) => !SILENT.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const cause = line.err?.stack ?? line.err?.message;
  return [
    `${LEVELS[line.level] ?? ''}${line.msg ?? ''}`,
    ...fields,
    ...(cause ? [`\n${cause}`] : []),
  ].join(' ');
}
