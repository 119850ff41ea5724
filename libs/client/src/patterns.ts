/** Answers whether a topic matches one of the patterns (PROTOCOL 2). */
export function topicMatcher(patterns: readonly string[]): (topic: string) => boolean {
  const split = patterns.map((pattern) => pattern.split('.'));
  return (topic) => {
    const tokens = topic.split('.');
    return split.some((pattern) => matches(pattern, tokens));
  };
}

function matches(pattern: readonly string[], tokens: readonly string[]): boolean {
  const rest = pattern.at(-1) === '>';
  if (rest ? tokens.length < pattern.length : tokens.length !== pattern.length) return false;
  return pattern.every(
    (token, index) =>
      token === '*' || token === tokens[index] || (rest && index === pattern.length - 1),
  );
}

/** Answers whether a type is in a list of types (PROTOCOL 2.2). */
export function typeMatcher(types: readonly string[] | undefined): (type: string) => boolean {
  if (!types) return () => true;
  return (type) =>
    types.some((one) => (one.endsWith('*') ? type.startsWith(one.slice(0, -1)) : type === one));
}
