import { Random } from '../../simulation/random.ts';

/** A fault of a plan. Its times are milliseconds from the begin of the run. */
export interface PlannedFault {
  readonly fault: FaultName;
  /**
   * Names of processes; `leader` is whoever leads the events stream then. Or the name of a link. Or `stream`,
   * and the processes that are away meanwhile.
   */
  readonly targets: readonly string[];
  readonly atMs: number;
  /** How long it lasts, before what is broken is mended. */
  readonly lastsMs: number;
}

export type FaultName =
  | 'kill'
  | 'terminate'
  | 'stop'
  | 'rolling'
  /** One of NATS, and all gateways and archives, are killed and come back together, with everything to catch up. */
  | 'machines'
  | 'cut'
  | 'delay'
  | 'half-open'
  | 'one-way'
  /** A store is copied, and put back later: on one of three servers, which then lost nothing. */
  | 'old-disk'
  /** The same on all servers: what was stored in between is lost. */
  | 'power-loss'
  | 'full-disk'
  /** The archive of the first target is lost. The second one is spared, because it has the only copy. */
  | 'lost-archive'
  /** Most events leave the stream: sleepers, and archives that are away, come too late. */
  | 'retention';

export interface PlanOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly nats: readonly string[];
  readonly services: readonly string[];
  readonly links: readonly string[];
  /** Processes whose disk can be filled. */
  readonly disks: readonly string[];
  /** Whether the log may lose its end. The checker believes less then. */
  readonly losses: boolean;
  /** Whether events may leave the stream early, before an archive has them. */
  readonly retention: boolean;
}

const FIRST_MS = 3000;
const PROCESS_FAULTS = ['kill', 'kill', 'terminate', 'stop'] as const;
const LINK_FAULTS = ['cut', 'delay', 'half-open', 'one-way'] as const;

/**
 * The faults of a run. NATS, the services, the links and machines with several of them have a sequence each,
 * and these overlap. The same options give the same plan.
 */
export function planFaults(options: PlanOptions): PlannedFault[] {
  const { seed } = options;
  const all = [
    series(options, new Random(seed + 10), [2000, 8000], natsFault),
    series(options, new Random(seed + 11), [500, 4000], serviceFault),
    series(options, new Random(seed + 12), [1000, 6000], linkFault),
    series(options, new Random(seed + 13), [8000, 30_000], machineFault),
  ];
  return all.flat().sort((one, other) => one.atMs - other.atMs);
}

type Choice = Omit<PlannedFault, 'atMs'>;

/** One fault after another, with pauses. */
function series(
  options: PlanOptions,
  random: Random,
  [shortest, longest]: readonly [number, number],
  choose: (options: PlanOptions, random: Random) => Choice | undefined,
): PlannedFault[] {
  const faults: PlannedFault[] = [];
  let atMs = FIRST_MS + random.between(0, longest);
  for (;;) {
    const choice = choose(options, random);
    if (!choice || atMs + choice.lastsMs > options.durationMs) return faults;
    faults.push({ ...choice, atMs });
    atMs += choice.lastsMs + random.between(shortest, longest);
  }
}

function natsFault(
  { nats, services, disks, losses, retention }: PlanOptions,
  random: Random,
): Choice {
  const isCluster = nats.length > 1;
  const lastsMs = random.between(300, 8000);
  if (retention && random.chance(0.2)) {
    const replays = services.filter((name) => name.startsWith('replay'));
    const targets = random.chance(0.5) ? ['stream', ...replays] : ['stream'];
    return { fault: 'retention', targets, lastsMs: random.between(4000, 15_000) };
  }
  if (losses && random.chance(0.15)) return { fault: 'power-loss', targets: nats, lastsMs };
  if (isCluster && random.chance(0.1)) {
    return { fault: 'old-disk', targets: [random.pick(nats)], lastsMs };
  }
  const target = isCluster && random.chance(0.4) ? 'leader' : random.pick(nats);
  if (disks.length > 0 && random.chance(0.12)) {
    return { fault: 'full-disk', targets: [target], lastsMs };
  }
  if (isCluster && random.chance(0.2)) {
    const targets = [...nats];
    random.removeAny(targets);
    return { fault: 'rolling', targets, lastsMs };
  }
  const fault = random.pick(PROCESS_FAULTS);
  if (isCluster && random.chance(0.1)) {
    // Without most of the servers nothing is stored.
    const targets = [...nats];
    random.removeAny(targets);
    return { fault, targets, lastsMs };
  }
  return { fault, targets: [target], lastsMs };
}

function serviceFault({ services, disks }: PlanOptions, random: Random): Choice {
  const lastsMs = random.between(300, 7000);
  const full = disks.filter((name) => services.includes(name));
  if (full.length > 0 && random.chance(0.08)) {
    return { fault: 'full-disk', targets: [random.pick(full)], lastsMs };
  }
  const replays = services.filter((name) => name.startsWith('replay'));
  if (replays.length > 1 && random.chance(0.08)) {
    const own = random.removeAny(replays);
    return { fault: 'lost-archive', targets: [own, ...replays.slice(0, 1)], lastsMs };
  }
  if (random.chance(0.25)) {
    const part = random.pick(['gateway', 'ingest', 'replay', 'replay']);
    const targets = services.filter((name) => name.startsWith(part));
    // One after the other, or all at once: without replay, the gateways read the stream itself.
    return { fault: random.pick(['rolling', ...PROCESS_FAULTS]), targets, lastsMs };
  }
  return { fault: random.pick(PROCESS_FAULTS), targets: [random.pick(services)], lastsMs };
}

function machineFault({ nats, services }: PlanOptions, random: Random): Choice {
  const others = services.filter((name) => !name.startsWith('ingest'));
  const targets = [random.pick(nats), ...others];
  return { fault: 'machines', targets, lastsMs: random.between(300, 4000) };
}

function linkFault({ links }: PlanOptions, random: Random): Choice | undefined {
  if (links.length === 0) return undefined;
  const fault = random.pick(LINK_FAULTS);
  return { fault, targets: [random.pick(links)], lastsMs: random.between(500, 9000) };
}
