import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { showTable } from '../output/show-table.ts';
import type { Column } from '../output/table.ts';
import { localProfile } from '../profile/local.ts';
import {
  checkName,
  checkProfile,
  isExposed,
  LOCAL,
  type Profile,
  profileOf,
  profilesPath,
  readProfiles,
  writeProfiles,
} from '../profile/profiles.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

interface AddOptions {
  readonly tokenFile?: string;
  readonly tokenCommand?: string;
  readonly replayAdmin?: string;
  readonly nats?: string;
  readonly natsUser?: string;
  readonly natsPasswordFile?: string;
  readonly use?: boolean;
}

interface Row {
  readonly name: string;
  readonly profile: Profile;
  readonly isCurrent: boolean;
}

/** `tidemark profile`, with its four commands. */
export function profileCommand(host: Host): Command {
  const made = command({
    usage: 'profile',
    summary: 'Keep the systems that commands work on',
    description:
      'A profile has the URLs of a system, and how to get a token for it. In a checkout the profile local is built in: it is what npm start runs.',
    examples: [
      'tidemark profile add production --gateway https://events.example.com --token-command "pass tidemark" --use',
      'tidemark profile list',
      'tidemark profile use local',
      'tidemark profile remove production',
    ],
  });
  return made
    .addCommand(addCommand(host))
    .addCommand(listCommand(host))
    .addCommand(useCommand(host))
    .addCommand(removeCommand(host));
}

function addCommand(host: Host): Command {
  const made = command({
    usage: 'add <name>',
    summary: 'Add a profile, or replace the one with this name',
    description:
      'The URLs and a token are given with the options of every command: --gateway, --ingest, --replay, --admin, --token. A token in a file or from a command is safer than one in the profile.',
    examples: [
      'tidemark profile add production --gateway https://events.example.com --token-file ~/.tidemark-token',
      'tidemark profile add staging --gateway http://gw:8080 --ingest http://in:8081 --replay http://re:8082 --nats nats://n1:4222 --nats-user tidemark-operator --nats-password-file ./password',
    ],
  })
    .option('--token-file <path>', 'a file with the token, read each time')
    .option(
      '--token-command <command>',
      'a command that prints the token, run by the shell each time',
    )
    .option('--replay-admin <url>', 'the admin port of replay')
    .option('--nats <url>', 'NATS, for doctor, backup and restore')
    .option('--nats-user <user>', 'the user at NATS')
    .option('--nats-password-file <path>', 'a file with the password')
    .option('--use', 'make it the current one');
  return does<AddOptions>(made, host, async (context, options, [name = '']) => {
    const { gateway, ingest, replay, admin, token } = context.options;
    const { tokenFile, tokenCommand, replayAdmin, nats, natsUser, natsPasswordFile } = options;
    if (!gateway) throw usageError('--gateway is needed.');
    if (!nats && (natsUser || natsPasswordFile))
      throw usageError('--nats is needed with --nats-user.');
    const profile = checkProfile(
      {
        gateway,
        ...(ingest && { ingest }),
        ...(replay && { replay }),
        ...(admin && { admin }),
        ...(replayAdmin && { replayAdmin }),
        ...(token && { token }),
        ...(tokenFile && { tokenFile }),
        ...(tokenCommand && { tokenCommand }),
        ...(nats && {
          nats: {
            url: nats,
            ...(natsUser && { user: natsUser }),
            ...(natsPasswordFile && { passwordFile: natsPasswordFile }),
          },
        }),
      },
      checkName(name),
    );
    const path = profilesPath(context.environment);
    const file = readProfiles(path);
    writeProfiles(path, {
      ...file,
      ...(options.use && { current: name }),
      profiles: { ...file.profiles, [name]: profile },
    });
    context.output.message(`The profile ${name} is in ${path}.`);
  });
}

function listCommand(host: Host): Command {
  const made = command({
    usage: 'list',
    summary: 'List the profiles; * marks the current one',
    examples: ['tidemark profile list', 'tidemark profile list --json'],
  });
  return does(made, host, async (context) => {
    const { output, environment } = context;
    const path = profilesPath(environment);
    const { current = LOCAL, profiles } = readProfiles(path);
    if (isExposed(path)) output.message(`Others can read ${path}: chmod 600 keeps its tokens.`);
    const local = await localProfile(environment);
    const all = { ...profiles, ...(local && { [LOCAL]: local }) };
    const rows = Object.entries(all).map(([name, profile]) => ({
      name,
      profile,
      isCurrent: name === current,
    }));
    if (output.json) {
      for (const { name, profile, isCurrent } of rows) {
        const { token, ...shown } = profile;
        await output.data({
          name,
          current: isCurrent,
          ...shown,
          ...(token && { token: '(hidden)' }),
        });
      }
      return;
    }
    await showTable(output, COLUMNS, rows);
  });
}

const COLUMNS: readonly Column<Row>[] = [
  { title: '', value: ({ isCurrent }) => (isCurrent ? '*' : '') },
  { title: 'NAME', value: ({ name }) => name },
  { title: 'GATEWAY', value: ({ profile }) => profile.gateway, flexible: true },
  { title: 'TOKEN', value: tokenKind },
];

function tokenKind({ name, profile }: Row): string {
  if (name === LOCAL) return 'made here';
  if (profile.token) return 'in the profile';
  if (profile.tokenFile) return `of ${profile.tokenFile}`;
  return profile.tokenCommand ? `of ${profile.tokenCommand}` : 'none';
}

function useCommand(host: Host): Command {
  const made = command({
    usage: 'use <name>',
    summary: 'Make a profile the current one',
    examples: ['tidemark profile use production', 'tidemark profile use local'],
  });
  return does(made, host, async ({ environment, output }, _options, [name = '']) => {
    const path = profilesPath(environment);
    const file = readProfiles(path);
    if (name !== LOCAL) profileOf(file, name);
    writeProfiles(path, { ...file, current: name });
    output.message(`Commands work on ${name} now.`);
  });
}

function removeCommand(host: Host): Command {
  const made = command({
    usage: 'remove <name>',
    summary: 'Remove a profile',
    examples: ['tidemark profile remove staging'],
  });
  return does(made, host, async ({ environment, output }, _options, [name = '']) => {
    const path = profilesPath(environment);
    const { current, profiles } = readProfiles(path);
    if (name === LOCAL) throw usageError(`The profile ${LOCAL} is built in.`);
    profileOf({ profiles }, name);
    const { [name]: _removed, ...left } = profiles;
    const isKept = current !== undefined && current !== name;
    writeProfiles(path, { ...(isKept && { current }), profiles: left });
    output.message(`The profile ${name} is removed.`);
  });
}
