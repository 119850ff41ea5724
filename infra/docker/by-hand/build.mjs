import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseDockerfile, substitute } from './dockerfile.mjs';
import { Root, run } from './root.mjs';

/**
 * @typedef {object} Image
 * @property {Root} root
 * @property {Record<string, string>} env
 * @property {string} cwd
 * @property {string} user
 * @property {readonly string[]} command
 * @property {readonly string[]} health
 */

/** @typedef {import('./dockerfile.mjs').Instruction} Instruction */

/** Builds images from one Dockerfile, of which every stage begins with the same base image. */
export class Builder {
  #options;
  /** What a stage was before it named its argument: the same for every image. @type {Image[]} */
  #kept = [];

  /** @param {{ file: string, context: string, base: Root, work: string }} options */
  constructor(options) {
    this.#options = options;
    mkdirSync(options.work, { recursive: true });
  }

  /** @param {Record<string, string>} args @returns {Image} what the last stage has become */
  build(args) {
    const { file, context } = this.#options;
    /** @type {Map<string, Root>} */
    const named = new Map();
    /** @type {Image | undefined} */
    let image;
    let stage = -1;
    let isKept = false;
    for (const instruction of parseDockerfile(readFileSync(file, 'utf8'))) {
      const { name, text } = instruction;
      if (name === 'FROM') {
        stage += 1;
        isKept = this.#kept[stage] !== undefined;
        image = this.#begin(stage, `${Object.values(args).join('-')}-${stage}`);
        const alias = / AS (\w+)$/.exec(text)?.[1];
        if (alias) named.set(alias, image.root);
      } else if (image && name === 'ARG') {
        if (!isKept) this.#keep(stage, image);
        isKept = false;
      } else if (image && !isKept) {
        console.log(`${name} ${text}`);
        step(image, instruction, { context, named, args });
      }
    }
    if (!image) throw new Error(`${file} has no stage.`);
    return image;
  }

  /** @param {number} stage @param {string} name @returns {Image} */
  #begin(stage, name) {
    const { base, work } = this.#options;
    const from = this.#kept[stage] ?? { env: {}, cwd: '/', user: 'root', command: [], health: [] };
    const { root = base } = this.#kept[stage] ?? {};
    return { ...from, env: { ...from.env }, root: root.copyTo(join(work, name)) };
  }

  /** @param {number} stage @param {Image} image */
  #keep(stage, image) {
    const root = image.root.copyTo(join(this.#options.work, `kept-${stage}`));
    this.#kept[stage] = { ...image, env: { ...image.env }, root };
  }
}

/**
 * @param {Image} image
 * @param {Instruction} instruction
 * @param {{ context: string, named: ReadonlyMap<string, Root>, args: Record<string, string> }} around
 */
function step(image, { name, text }, { context, named, args }) {
  const values = { ...args, ...image.env };
  switch (name) {
    case 'ARG':
      return;
    case 'ENV':
      for (const [, key = '', value = ''] of text.matchAll(/(\w+)=(\S+)/g)) {
        image.env[key] = substitute(value, values);
      }
      return;
    case 'WORKDIR':
      image.cwd = text;
      mkdirSync(image.root.at(text), { recursive: true });
      return;
    case 'COPY':
      return copy(image, text, { context, named });
    case 'RUN': {
      const command = ['sh', '-c', text];
      const [program = '', ...rest] = image.root.inside(command, { cwd: image.cwd, env: values });
      return run(program, rest);
    }
    case 'USER':
      image.user = text;
      return;
    case 'CMD':
      image.command = JSON.parse(text);
      return;
    case 'HEALTHCHECK':
      image.health = JSON.parse(text.slice(text.indexOf('[')));
      return;
    default:
      throw new Error(`${name} is not known here.`);
  }
}

/**
 * @param {Image} image
 * @param {string} text
 * @param {{ context: string, named: ReadonlyMap<string, Root> }} around
 */
function copy({ root, cwd }, text, { context, named }) {
  const [, from, rest = ''] = /^(?:--from=(\w+)\s+)?(.*)$/.exec(text) ?? [];
  const words = rest.split(/\s+/);
  const to = root.at(resolve(cwd, words.at(-1) ?? '.'));
  const stage = from === undefined ? undefined : named.get(from);
  for (const word of words.slice(0, -1)) {
    if (stage) run('cp', ['-a', `${stage.at(word)}/.`, to]);
    else copyTracked(context, word, to);
  }
}

/**
 * Copies what git knows of a file or folder, which is what `.dockerignore` leaves of it.
 *
 * @param {string} context
 * @param {string} source
 * @param {string} to
 */
function copyTracked(context, source, to) {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--', source], { cwd: context });
  const isFolder = statSync(join(context, source)).isDirectory();
  for (const path of String(stdout).split('\0').filter(Boolean)) {
    const from = join(context, path);
    if (!existsSync(from)) continue;
    const target = join(to, isFolder ? path.slice(source.length + 1) : basename(path));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target);
  }
}
