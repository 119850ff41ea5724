/** @typedef {{ name: string, text: string }} Instruction */

/**
 * The instructions of a Dockerfile, continued lines joined.
 *
 * @param {string} text
 * @returns {Instruction[]}
 */
export function parseDockerfile(text) {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
    .join('\n')
    .replace(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => {
      const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return { name, text: rest };
    });
}

/** `$NAME` and `${NAME}`. @param {string} text @param {Readonly<Record<string, string>>} values */
export function substitute(text, values) {
  return text.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced, plain) => values[braced ?? plain] ?? '');
}
