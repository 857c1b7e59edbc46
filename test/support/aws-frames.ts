import { crc32 } from 'node:zlib';

/** One message of an AWS event stream: lengths, checksums, headers of text, and a payload. */
export function awsFrame(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const named = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)));
  const body = Buffer.from(payload);
  const prelude = Buffer.alloc(8);
  prelude.writeUInt32BE(8 + 4 + named.length + body.length + 4, 0);
  prelude.writeUInt32BE(named.length, 4);
  const checked = Buffer.concat([prelude, sum(prelude), named, body]);
  return Buffer.concat([checked, sum(checked)]);
}

/** An event of this kind with this object. */
export const awsEvent = (kind: string, data: object): Buffer =>
  awsFrame({ ':event-type': kind, ':content-type': 'application/json', ':message-type': 'event' }, JSON.stringify(data));

/** An error in the middle of a stream. */
export const awsException = (kind: string, message: string): Buffer =>
  awsFrame(
    { ':exception-type': kind, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify({ message }),
  );

/** An event of a model of Anthropic: its own JSON, within a chunk. */
export const awsChunk = (data: object): Buffer =>
  awsEvent('chunk', { bytes: Buffer.from(JSON.stringify(data)).toString('base64'), p: 'abcdefgh' });

function header(name: string, value: string): Buffer {
  const [n, v] = [Buffer.from(name), Buffer.from(value)];
  const length = Buffer.alloc(2);
  length.writeUInt16BE(v.length);
  return Buffer.concat([Buffer.of(n.length), n, Buffer.of(7), length, v]);
}

function sum(bytes: Buffer): Buffer {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(bytes));
  return checksum;
}
