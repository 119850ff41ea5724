import { isTopic, parseEvent } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { githubDeliveries, toCloudEvent } from './github-events.mjs';

const identity = { id: '1', time: '2026-01-31T12:00:00Z' };

test('github events: every example payload: a valid CloudEvent on its topic', () => {
  const events = githubDeliveries().map((delivery) => toCloudEvent(delivery, identity));

  expect(events).toHaveLength(329);
  for (const event of events) {
    expect(parseEvent(event)).toEqual(event);
    expect(isTopic(event.topic)).toBe(true);
    expect(event.topic.split('.')).toHaveLength(4);
  }
});

test('github events: a repository with an action: names in source, type and topic', () => {
  const payload = {
    action: 'opened',
    repository: { name: 'Hello-World', owner: { login: 'Codertocat' } },
  };

  expect(toCloudEvent({ event: 'issues', payload }, identity)).toEqual({
    specversion: '1.0',
    id: '1',
    source: 'https://github.com/Codertocat/Hello-World',
    type: 'github.issues.opened',
    topic: 'github.Codertocat.Hello-World.issues',
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: payload,
  });
});

test('github events: names outside the topic alphabet: dashes in the topic, kept in the source', () => {
  const payload = { repository: { name: 'näh.js', owner: { login: 'a b' } } };

  const event = toCloudEvent({ event: 'push', payload }, identity);

  expect(event.topic).toBe('github.a-b.n-h-js.push');
  expect(event.source).toBe('https://github.com/a%20b/n%C3%A4h.js');
  expect(event.type).toBe('github.push');
});

test('github events: neither repository nor owner: underscores in their places', () => {
  const event = toCloudEvent({ event: 'security_advisory', payload: {} }, identity);

  expect(event.topic).toBe('github._._.security_advisory');
  expect(event.source).toBe('https://github.com/');
});
