import type { Command } from 'commander';
import { CliError } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { checkArchive } from '../doctor/archive.ts';
import { checkDelivery } from '../doctor/delivery.ts';
import { type Finding, skipped } from '../doctor/finding.ts';
import { checkInstances, judgeVersions } from '../doctor/instances.ts';
import { checkNats } from '../doctor/nats.ts';
import { checkServices } from '../doctor/services.ts';
import type { Style } from '../output/output.ts';
import { safeText } from '../output/safe-text.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';
import { natsEnvironment } from '../session/nats-environment.ts';

const MARKS: Readonly<Record<Finding['level'], readonly [mark: string, style: Style]>> = {
  ok: ['ok', 'green'],
  note: ['note', 'yellow'],
  fault: ['FAULT', 'red'],
  skipped: ['skipped', 'dim'],
};

/** `tidemark doctor`. */
export function doctorCommand(host: Host): Command {
  const made = command({
    usage: 'doctor',
    summary: 'Look for what is wrong with a system, and say what to do',
    description:
      'Looks at the services (reachable, ready, versions, clocks), the token, proxies that hold SSE or WebSocket back, whether the archive follows, and at NATS (version, limits, copies of the streams, their configuration, its clock). What it cannot look at is skipped, and said. The exit code is 1 where something is wrong.',
    examples: [
      'tidemark doctor',
      'tidemark doctor --heartbeat',
      'tidemark doctor --profile production --json',
    ],
  }).option(
    '--heartbeat',
    'wait for a heartbeat over SSE too, some 15 s: proxies may hold back what is small',
  );
  return does<{ heartbeat?: boolean }>(made, host, async (context, { heartbeat = false }) => {
    let faults = 0;
    for await (const finding of findings(context, heartbeat)) {
      await show(context, finding);
      if (finding.level === 'fault') faults++;
    }
    if (faults > 0) {
      throw new CliError(faults === 1 ? 'One thing is wrong.' : `${faults} things are wrong.`, {
        code: 'faults_found',
      });
    }
  });
}

async function* findings(context: Context, heartbeat: boolean): AsyncGenerator<Finding> {
  const { signal } = context;
  const target = await context.target();
  const api = await context.api();
  const { findings: found, reachable, versions } = await checkServices(api, signal);
  yield* found;
  if (!reachable.has('gateway')) yield* judgeVersions(versions, VERSION);
  else {
    const instances = await checkInstances(api, signal);
    yield* instances.findings;
    yield* judgeVersions([...versions, ...instances.versions], VERSION);
    yield* await checkDelivery(target, api, { heartbeat, signal });
    if (reachable.has('replay')) yield await checkArchive(api, signal);
  }
  const environment = await natsEnvironment(context);
  if (environment) yield* await checkNats(environment);
  else {
    const advice = 'NATS_URL with TIDEMARK_NATS_USER, or the nats of a profile, names it.';
    yield skipped('nats', 'Nothing names a NATS.', advice);
  }
}

async function show({ output }: Context, finding: Finding): Promise<void> {
  if (output.json) return output.data(finding);
  const { check, level, text, advice } = finding;
  const [mark, style] = MARKS[level];
  await output.line(`${output.style(style, mark.padEnd(7))} ${check.padEnd(14)} ${safeText(text)}`);
  if (advice) await output.line(`${' '.repeat(23)}${output.style('dim', `→ ${advice}`)}`);
}
