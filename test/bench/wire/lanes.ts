/*
 * A lane is what one publisher sends on one topic. The counter of an event has the lane and the number
 * of the event in it, so that a client can check the order where several publishers send at once:
 * between them there is none.
 */

/** Numbers of one lane are below this. Ten digits then have room for a thousand lanes. */
const LANE_EVENTS = 10_000_000;

export function laneCounter(lane: number, number: number): number {
  return lane * LANE_EVENTS + number;
}

export function laneOf(counter: number): number {
  return Math.floor(counter / LANE_EVENTS);
}

export function numberIn(counter: number): number {
  return counter % LANE_EVENTS;
}
