import { serveCommands } from '../system/commands.ts';
import { Fleet } from './fleet.ts';

/** The process that holds the clients of a case. */
const fleet = new Fleet();
const commands = {
  open: fleet.open.bind(fleet),
  expect: fleet.expect.bind(fleet),
  received: fleet.received.bind(fleet),
  least: fleet.least.bind(fleet),
  cut: fleet.cut.bind(fleet),
  pause: fleet.pause.bind(fleet),
  close: fleet.close.bind(fleet),
};
export type LoadCommands = typeof commands;

serveCommands(commands);
