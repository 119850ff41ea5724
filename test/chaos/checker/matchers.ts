import { matches } from '@tidemark/protocol';

/** Tells for sets of patterns whether topics match. It remembers each answer. */
export class Matchers {
  readonly #matchers = new Map<string, (topic: string) => boolean>();

  of(patterns: readonly string[]): (topic: string) => boolean {
    const key = patterns.join(',');
    let matcher = this.#matchers.get(key);
    if (!matcher) {
      const answers = new Map<string, boolean>();
      matcher = (topic) => {
        let answer = answers.get(topic);
        if (answer === undefined) {
          answer = patterns.some((pattern) => matches(pattern, topic));
          answers.set(topic, answer);
        }
        return answer;
      };
      this.#matchers.set(key, matcher);
    }
    return matcher;
  }
}
