import { ConfigurationError } from '@tidemark/config';
import { encodeTopicToken } from '@tidemark/protocol';
import { type Grant, parseGrant } from './permissions.ts';

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** The grants that every token has besides those of its scope. */
export type GrantTemplates = (claims: Readonly<Record<string, unknown>>) => Grant[];

/**
 * Reads templates such as `subscribe:user.{sub}.>`. A placeholder stands for a claim, a text, which is encoded
 * as one topic token, because a `sub` with a dot or a wildcard would open topics of others. A template grants
 * nothing to a token whose claim is no text, or makes too long a topic.
 *
 * @throws ConfigurationError for a template that cannot become a grant with any value
 */
export function parseGrantTemplates(text: string): GrantTemplates {
  const templates = text.split(/\s+/).filter((word) => word !== '');
  const wrong = templates.filter((word) => !parseGrant(fill(word, () => 'x') ?? ''));
  if (wrong.length > 0) {
    const faults = wrong.map(
      (word) => `TIDEMARK_TOKEN_GRANTS: ${word} is not a permission on topics`,
    );
    throw new ConfigurationError(faults);
  }
  return (claims) =>
    templates.flatMap((template) => {
      const word = fill(template, (name) =>
        Object.hasOwn(claims, name) ? claims[name] : undefined,
      );
      const grant = word === undefined ? undefined : parseGrant(word);
      return grant ? [grant] : [];
    });
}

/** @returns `undefined` when a placeholder has no value that can be one topic token */
function fill(template: string, read: (name: string) => unknown): string | undefined {
  let complete = true;
  const word = template.replace(PLACEHOLDER, (_, name: string) => {
    const value = read(name);
    const token = typeof value === 'string' ? encodeTopicToken(value) : undefined;
    complete &&= token !== undefined;
    return token ?? '';
  });
  return complete ? word : undefined;
}
