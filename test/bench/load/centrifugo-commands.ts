/** A command of a Centrifugo client, as far as the load sends any. */
export interface Command {
  readonly id: number;
  readonly connect?: { readonly token: string };
  readonly subscribe?: {
    readonly channel: string;
    readonly recover?: boolean;
    readonly epoch?: string;
    readonly offset?: number;
  };
}

/** The lines of a frame. */
export function encodeJson(commands: readonly Command[]): string {
  return commands.map((command) => JSON.stringify(command)).join('\n');
}

/** The messages of a frame, each behind its length (`client.proto` of github.com/centrifugal/protocol). */
export function encodeProtobuf(commands: readonly Command[]): Buffer {
  return Buffer.concat(commands.map((command) => delimited(encodeCommand(command))));
}

function encodeCommand({ id, connect, subscribe }: Command): Buffer {
  const parts = [numberField(1, id)];
  if (connect) parts.push(bytesField(4, bytesField(1, Buffer.from(connect.token))));
  if (subscribe) {
    const { channel, recover = false, epoch = '', offset = 0 } = subscribe;
    const fields = [bytesField(1, Buffer.from(channel))];
    if (recover) fields.push(numberField(3, 1));
    if (epoch !== '') fields.push(bytesField(6, Buffer.from(epoch)));
    if (offset > 0) fields.push(numberField(7, offset));
    parts.push(bytesField(5, Buffer.concat(fields)));
  }
  return Buffer.concat(parts);
}

function numberField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), delimited(bytes)]);
}

function delimited(bytes: Buffer): Buffer {
  return Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
