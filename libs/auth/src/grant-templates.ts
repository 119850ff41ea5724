import { ConfigurationError } from '@tidemark/config';
import { isTopic } from '@tidemark/protocol';
import { type Grant, parseGrant } from './permissions.ts';

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** The grants that every token has besides those of its scope. */
export type GrantTemplates = (claims: Readonly<Record<string, unknown>>) => Grant[];

/**
 * Reads templates such as `subscribe:user.{sub}.>`. A placeholder stands for a claim, whose value
 * must be one topic token: a `sub` with a dot or a wildcard in it would otherwise open more than
 * its own topics. Where a token's claim is not one, the template grants it nothing.
 *
 * @throws ConfigurationError for a template that no value could make a grant
 */
export function parseGrantTemplates(text: string): GrantTemplates {
  const templates = text.split(/\s+/).filter((word) => word !== '');
  const wrong = templates.filter((word) => !parseGrant(fill(word, () => 'x') ?? ''));
  if (wrong.length > 0) {
    const faults = wrong.map((word) => `TIDEMARK_TOKEN_GRANTS: ${word} is no permission on topics`);
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

/** @returns `undefined` when a placeholder has no value that is one topic token */
function fill(template: string, read: (name: string) => unknown): string | undefined {
  let complete = true;
  const word = template.replace(PLACEHOLDER, (_, name: string) => {
    const value = read(name);
    if (typeof value === 'string' && isTopic(value) && !value.includes('.')) return value;
    complete = false;
    return '';
  });
  return complete ? word : undefined;
}
