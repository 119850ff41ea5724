import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

/*
 * Requests as brokers and services of others send them, after their public documentation: headers, an empty
 * line, and the body. What is expected is the event that the stream has.
 */

const SAMPLES = new URL('samples/', import.meta.url);

const expected: Readonly<Record<string, object>> = {
  'conformance-binary': {
    id: '4321-4321-4321-a',
    source: '/mycontext/subcontext',
    datacontenttype: 'application/json; charset=utf-8',
    data: { message: 'Hello World!' },
  },
  'conformance-structured': { id: '4321-4321-4321-b', data: { message: 'Hello World!' } },
  'conformance-batch': { datacontenttype: 'text/xml', data: '<much wow="xml"/>' },
  'knative-broker': {
    type: 'dev.knative.apiserver.resource.update',
    kind: 'Pod',
    time: '2026-03-04T10:11:12.131415161Z',
    knativearrivaltime: '2026-03-04T10:11:12.141516171Z',
  },
  'knative-ping': { type: 'dev.knative.sources.ping', data: { message: 'Hello world!' } },
  'eventarc-storage': {
    topic: 'google.cloud.storage.object.v1.finalized',
    subject: 'objects/2026/03/Umsätze.csv',
    bucket: 'reports',
  },
  'eventarc-audit-log': {
    // The percent sign of the log's name is encoded once, and one round of decoding is right.
    id: 'projects/shop/logs/cloudaudit.googleapis.com/activity1r2u7zd9o1772619072340000',
    methodname: 'storage.buckets.create',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  },
  'eventarc-pubsub': { id: '2070443601311540', data: { message: { data: 'SGVsbG8=' } } },
  'azure-event-grid': {
    type: 'Microsoft.Storage.BlobCreated',
    topic: 'Microsoft.Storage.BlobCreated',
    time: '2026-03-04T10:11:12.4002102Z',
  },
  'azure-event-grid-batch': { data: { VaultName: 'keys', NBF: null } },
  'dapr-pubsub': { topic: 'orders', pubsubname: 'orderpubsub', data: { orderId: 100 } },
  'dapr-raw-bytes': { topic: 'orders', data_base64: 'AQIDBP8=' },
  'cdevents-pipeline-run': {
    type: 'dev.cdevents.pipelinerun.finished.0.2.0',
    subject: '/dev/pipeline/run/subject123',
  },
  'github-pull-request': {
    subject: '123',
    comexampleextension1: 'value',
    comexampleothervalue: '5',
    data: '<much wow="xml" title="Grüße"/>\n',
  },
  'github-text': {
    subject: 'refs/heads/fix/100% "quoted" €',
    data_base64: Buffer.from('a commit\n').toString('base64'),
  },
};

let setup: IngestSetup;
beforeAll(async () => {
  setup = await startIngest();
});
afterAll(() => setup.stop());

/** Sends the bytes of a sample as they are, with a token beside. */
async function send(sample: Buffer) {
  const end = sample.indexOf('\n\n');
  const lines = sample.subarray(0, end).toString('latin1').split('\n');
  const headers = lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]);
  const authorization = `Bearer ${await makeToken('publish:>', 'alice')}`;
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const sent = request(
      `${setup.ingest.url}/v1/events`,
      { method: 'POST', headers: { ...Object.fromEntries(headers), authorization } },
      async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode, text });
      },
    );
    sent.on('error', reject);
    sent.end(sample.subarray(end + 2));
  });
}

describe('requests of others', () => {
  test.each(readdirSync(SAMPLES))('%s: stored as its sender means it', async (file) => {
    const sample = readFileSync(new URL(file, SAMPLES));
    const { status, text } = await send(sample);
    expect([status, text]).toEqual(
      /^prefer:/im.test(sample.toString()) ? [204, ''] : [201, expect.any(String)],
    );
    const event = (await setup.stored()).at(-1)?.event;
    expect(event).toMatchObject({
      specversion: '1.0',
      publisher: 'alice',
      ...expected[file.replace(/\.http$/, '')],
    });
    expect(expected).toHaveProperty(file.replace(/\.http$/, ''));
    // Sent again, as all of them may.
    expect((await send(sample)).status).toBe(status);
    expect((await setup.stored()).at(-1)?.event.id).toBe(event?.id);
  });
});
