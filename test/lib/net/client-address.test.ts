import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { createClientAddress } from '../../../lib/net/client-address.ts';

const addressOf = createClientAddress(['10.0.0.0/8', 'fd00::/8']);

/** A request from this peer that carries this header. */
function requestFrom(peer: string, forwarded?: string): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const request = new IncomingMessage(socket);
  if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded;
  return request;
}

describe('the address of a client', () => {
  test.each([
    ['192.0.2.1', undefined, '192.0.2.1'],
    ['::ffff:192.0.2.1', undefined, '192.0.2.1'],
    ['192.0.2.1', '198.51.100.7', '192.0.2.1'],
    ['10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['10.0.0.1', '203.0.113.9, 198.51.100.7, 10.0.0.2', '198.51.100.7'],
    ['10.0.0.1', 'nonsense', '10.0.0.1'],
  ])('from %s with %p is %s', (peer, forwarded, expected) => {
    expect(addressOf(requestFrom(peer, forwarded))).toBe(expected);
  });

  test.each([
    ['198.51.100.7:4711', '198.51.100.7'],
    ['[2001:db8::7]:4711', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['2001:db8::7', '2001:db8::7'],
    ['203.0.113.9:1, 198.51.100.7:2, 10.0.0.2:3', '198.51.100.7'],
  ])('counts without the port that a proxy wrote: %s', (forwarded, expected) => {
    expect(addressOf(requestFrom('10.0.0.1', forwarded))).toBe(expected);
  });
});
