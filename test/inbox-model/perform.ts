import { type Erasure, followInbox, type InboxChange, toErasureEvent } from '@tidemark/protocol';
import { Tracer } from '@tidemark/telemetry';
import { expect } from 'vitest';
import { findEvents } from '../../services/replay/src/erasing/search.ts';
import type { IndexedEvent } from '../../services/replay/src/sqlite/writer.ts';
import { failed, toCursor } from './log.ts';
import { changePlainly } from './plain.ts';
import type { Replica } from './replica.ts';
import type { Step } from './steps.ts';
import type { World } from './world.ts';

const tracer = new Tracer();

async function change(
  world: World,
  at: number,
  toChange: (end: number) => InboxChange | undefined,
) {
  const replica = world.replicas[at] ?? failed();
  let made: { readonly change: InboxChange; readonly end: number } | undefined;
  const request = {
    owner: replica.owner,
    described: {},
    parent: tracer.span('test'),
    runStep: replica.options.runStep,
  };
  const before = world.end;
  if (!toChange(replica.end)) return;
  const result = await replica.changes
    .make({
      ...request,
      toChange: (inbox) => {
        const end = inbox.bounds.lastSequence;
        made = { change: toChange(end) ?? failed(), end };
        return made.change;
      },
    })
    .catch((error) => {
      // The stream has dropped what this archive does not have yet.
      expect(error.code).toBe('unavailable');
      expect(replica.end + 1).toBeLessThan(world.first);
    });
  if (!result) {
    expect(world.end).toBe(before);
    return;
  }
  if (!made) failed();
  const plain = changePlainly(world.plainAt(before), made.change, made.end);
  // It saw the last change before it made its own.
  expect(world.states.at(-1)?.sequence ?? 0).toBeLessThanOrEqual(made.end);
  if (result.changed === null) {
    expect(world.end).toBe(before);
    const { snoozed, ...rest } = plain;
    const { snoozed: ended, ...present } = world.plainAt(before);
    expect(rest).toEqual(present);
    for (const [sequence, untilMs] of snoozed) {
      if (untilMs > world.nowMs) expect(ended.get(sequence)).toBe(untilMs);
    }
  } else world.states.push({ sequence: world.end, plain });
}

/** Makes a step happen. */
export async function perform(world: World, one: Step): Promise<void> {
  if ('item' in one) {
    const { item: topic, type, id, expiresIn } = one;
    const expires = expiresIn && { expires: new Date(world.nowMs + expiresIn).toISOString() };
    world.append({ topic, type, id: `item-${id}`, ...expires, data: {} });
  } else if ('follow' in one) {
    const { pattern, types } = one.of;
    await change(
      world,
      one.at,
      () =>
        ({ kind: one.follow, pattern, ...(types && { types: [...types].sort() }) }) as InboxChange,
    );
  } else if ('upTo' in one) {
    await change(
      world,
      one.at,
      (end) => ({ kind: one.upTo, upTo: Math.max(0, end - one.back) }) as InboxChange,
    );
  } else if ('mark' in one) {
    await change(world, one.at, (end) => {
      const sequences = one.back.map((back) => end - back).filter((sequence) => sequence > 0);
      if (sequences.length === 0) return undefined;
      const untilMs = one.mark === 'snoozed' ? { untilMs: world.nowMs + one.forMs } : {};
      return { kind: one.mark, sequences, ...untilMs } as InboxChange;
    });
  } else if ('erase' in one) await erase(world, one);
  else if ('erasing' in one) {
    for (let count = 0; count < one.erasing; count++) await world.replicas[one.at]?.erase();
  } else if ('project' in one) world.replicas[one.at]?.project(one.project);
  else if ('rebuild' in one) world.replicas[one.at]?.rebuild();
  else if ('drop' in one) world.first = Math.min(world.end + 1, world.first + one.drop);
  else if ('passMs' in one) world.nowMs += one.passMs;
  else receive(world, one);
}

/** The client gets the next events, and some once more. Those of several subscriptions come in any order. */
export function receive(
  world: World,
  { receive: count, again }: { receive: number; again: number },
): void {
  if (!world.live) return;
  const from = Math.max(0, world.received - again);
  const through = Math.min(world.end, world.received + count);
  const events = world.log.slice(from, through);
  for (const { sequence, json } of again % 2 ? events.reverse() : events) {
    if (world.deleted.has(sequence)) {
      if (sequence > world.received) world.missed.add(sequence);
      continue;
    }
    world.live = followInbox(world.live, { cursor: toCursor(sequence), event: JSON.parse(json) });
  }
  world.received = Math.max(world.received, through);
}

/** An operator erases an event, its topic, or all with its source and id, at a service that has read everything. */
async function erase(
  world: World,
  { at, erase: by, back }: { at: number; erase: 'cursor' | 'topic' | 'names'; back: number },
): Promise<void> {
  const target = world.log[world.end - 1 - back];
  if (!target || /^(inbox|tidemark)\./.test(target.topic)) return;
  const replica = world.replicas[at] ?? failed();
  replica.project(world.end - replica.end);
  const { sequence, topic } = target;
  if (by === 'topic') return record(world, { topic });
  const sequences = by === 'cursor' ? [sequence] : await findNamed(replica, target);
  if (sequences.length > 0) record(world, { sequences });
}

async function findNamed({ archive, options }: Replica, target: IndexedEvent): Promise<number[]> {
  const bounds = archive.bounds ?? failed();
  const { source, id } = JSON.parse(target.json);
  return findEvents({ archive, bounds }, { source, id }, options.runStep);
}

function record(world: World, erasure: Erasure): void {
  const id = `erasure-${world.end}`;
  const event = toErasureEvent({ id, erasure, reason: 'asked to', by: 'operator', nowMs: 0 });
  world.erasures.set(world.append(event), erasure);
}
