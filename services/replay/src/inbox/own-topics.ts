import { ConfigurationError } from '@tidemark/config';
import { encodeTopicToken, isPattern, PATTERNS_MAX } from '@tidemark/protocol';

const PLACEHOLDER = /\{sub\}/g;

/** The patterns of the topics that are a user's own, by the user's `sub`. */
export type OwnTopics = (subject: string) => readonly string[];

/**
 * Reads templates such as `user.{sub}.>`, separated by white space. `{sub}` stands for the user, encoded as one topic
 * token. A template is left out for a user whose name makes it too long.
 *
 * @throws ConfigurationError for a template that is no pattern whoever the user is
 */
export function parseOwnTopics(text: string): OwnTopics {
  const templates = text.split(/\s+/).filter((word) => word !== '');
  const wrong = templates.filter((template) => !isPattern(fill(template, 'x')));
  const faults = wrong.map((template) => `TIDEMARK_REPLAY_INBOX_TOPICS: ${template} is no pattern`);
  if (templates.length > PATTERNS_MAX) {
    faults.push(`TIDEMARK_REPLAY_INBOX_TOPICS must have at most ${PATTERNS_MAX} patterns`);
  }
  if (faults.length > 0) throw new ConfigurationError(faults);
  return (subject) => {
    const token = encodeTopicToken(subject);
    if (token === undefined) return [];
    return templates.map((template) => fill(template, token)).filter(isPattern);
  };
}

function fill(template: string, token: string): string {
  return template.replace(PLACEHOLDER, token);
}
