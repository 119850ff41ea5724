/*
 * A series is what one publisher sends on one topic. The counter of an event has the series and the number
 * of the event in it, so that a client can check the order where several publishers send at once:
 * between them there is none.
 */

/** Numbers of one series are below this. Ten digits then have room for a thousand series. */
const SERIES_EVENTS = 10_000_000;

export function seriesCounter(series: number, number: number): number {
  return series * SERIES_EVENTS + number;
}

export function seriesOf(counter: number): number {
  return Math.floor(counter / SERIES_EVENTS);
}

export function numberIn(counter: number): number {
  return counter % SERIES_EVENTS;
}
