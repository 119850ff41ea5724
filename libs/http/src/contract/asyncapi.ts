import type { JsonSchema } from '@tidemark/protocol';
import type { z } from 'zod';
import { JsonSchemas } from './json-schema.ts';
import type { ServiceInfo } from './openapi.ts';

/** One kind of message of a channel. */
export interface ChannelMessage {
  readonly summary: string;
  /** What is sent: the whole message, or for SSE the JSON of the `data` lines. */
  readonly payload: z.ZodType;
  /** Of NATS, or the lines of an SSE block besides `data`. */
  readonly headers?: z.ZodType;
  /** JSON if absent. */
  readonly contentType?: string;
}

/** Where messages come from or go to: a path of a socket, or a subject of NATS. */
export interface Channel {
  readonly name: string;
  readonly protocol: 'ws' | 'sse' | 'nats';
  /** A path, or a subject; parameters in braces. */
  readonly address: string;
  readonly summary: string;
  readonly description?: string;
  /** The parameters of the address, by name. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The query of a handshake. */
  readonly query?: z.ZodObject;
  /** What the service receives there, by name. */
  readonly receives?: Readonly<Record<string, ChannelMessage>>;
  /** What the service sends there, by name. */
  readonly sends?: Readonly<Record<string, ChannelMessage>>;
  /** The codes with which the service closes connections, by name. */
  readonly closeCodes?: Readonly<Record<string, number>>;
}

const LICENSE = { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' };

const SCHEMES = {
  token: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A token (PROTOCOL.md section 8.1), or a ticket in its place.',
  },
  natsUser: { type: 'userPassword', description: 'A user at NATS.' },
};

interface UsualServer {
  readonly host: string;
  readonly description: string;
  readonly security: keyof typeof SCHEMES;
}

const SERVERS: Readonly<Record<Channel['protocol'], UsualServer>> = {
  ws: { host: '127.0.0.1:8080', description: 'A gateway.', security: 'token' },
  sse: { host: '127.0.0.1:8080', description: 'A gateway, over HTTP.', security: 'token' },
  nats: {
    host: '127.0.0.1:4222',
    description: 'The NATS of the deployment.',
    security: 'natsUser',
  },
};

/** Builds the AsyncAPI 3 document of a service. Its hosts are the usual ones: each deployment has its own. */
export function asyncApiDocument(
  { title, version, description }: ServiceInfo,
  channels: readonly Channel[],
): object {
  const schemas = new JsonSchemas();
  const protocols = [...new Set(channels.map(({ protocol }) => protocol))];
  const described = channels.map((one) => [one.name, toChannel(one, schemas)]);
  return {
    asyncapi: '3.0.0',
    info: { title, version, description, license: LICENSE },
    defaultContentType: 'application/json',
    servers: Object.fromEntries(protocols.map((protocol) => [protocol, toServer(protocol)])),
    channels: Object.fromEntries(described),
    operations: Object.fromEntries(channels.flatMap(toOperations)),
    components: {
      schemas: schemas.components,
      securitySchemes: Object.fromEntries(
        protocols.map((protocol) => [
          SERVERS[protocol].security,
          SCHEMES[SERVERS[protocol].security],
        ]),
      ),
    },
  };
}

function toServer(protocol: Channel['protocol']): object {
  const { host, description } = SERVERS[protocol];
  return { host, protocol, description, security: securityOf(protocol) };
}

function securityOf(protocol: Channel['protocol']): object[] {
  return [{ $ref: `#/components/securitySchemes/${SERVERS[protocol].security}` }];
}

function toChannel(channel: Channel, schemas: JsonSchemas): object {
  const { protocol, address, summary, description, parameters, query, closeCodes } = channel;
  const messages = Object.entries({ ...channel.receives, ...channel.sends });
  return {
    address,
    summary,
    ...(description !== undefined && { description }),
    servers: [{ $ref: `#/servers/${protocol}` }],
    ...(parameters && {
      parameters: Object.fromEntries(
        Object.entries(parameters).map(([name, text]) => [name, { description: text }]),
      ),
    }),
    messages: Object.fromEntries(
      messages.map(([name, message]) => [name, toMessage(name, message, schemas)]),
    ),
    ...(query && {
      bindings: {
        [protocol === 'ws' ? 'ws' : 'http']: {
          ...(protocol === 'ws' && { query: schemas.of(query) }),
        },
      },
    }),
    ...(closeCodes && { 'x-close-codes': closeCodes }),
  };
}

function toMessage(
  name: string,
  { summary, payload, headers, contentType = 'application/json' }: ChannelMessage,
  schemas: JsonSchemas,
): object {
  return {
    name,
    summary,
    contentType,
    ...(headers && { headers: schemas.of(headers) }),
    payload: schemas.of(payload) as JsonSchema,
  };
}

function toOperations({ name, protocol, receives = {}, sends = {} }: Channel): [string, object][] {
  const operation = (
    action: 'receive' | 'send',
    messages: readonly string[],
  ): [string, object][] => {
    if (messages.length === 0) return [];
    const operationName = `${action}${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    const refs = messages.map((one) => ({ $ref: `#/channels/${name}/messages/${one}` }));
    const channel = { $ref: `#/channels/${name}` };
    return [[operationName, { action, channel, security: securityOf(protocol), messages: refs }]];
  };
  return [...operation('receive', Object.keys(receives)), ...operation('send', Object.keys(sends))];
}
