import { expect, it } from 'vitest'
import { readProxyHeader } from '../../broker/proxy-protocol.ts'

const signature = '\r\n\r\n\0\r\nQUIT\n'
const line = (text: string) => Buffer.from(text, 'latin1')

function binary(command: number, family: number, body: Buffer, bodyBytes = body.length): Buffer {
  const head = Buffer.from([command, family, bodyBytes >> 8, bodyBytes & 0xff])
  return Buffer.concat([line(signature), head, body])
}

const ipv4 = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x07, 0x5b])
const ipv6 = (source: string) => Buffer.concat([Buffer.from(source, 'hex'), Buffer.alloc(20)])
const padding = ' x'.repeat(200)

it.each([
  ['TCP4', line('PROXY TCP4 192.0.2.7 10.0.0.1 12345 1883\r\n'), '192.0.2.7'],
  ['TCP6', line('PROXY TCP6 2001:db8::7 ::1 65535 0\r\n'), '2001:db8::7'],
  ['TCP6 of an IPv4 address', line('PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n'), '192.0.2.7'],
  ['UNKNOWN', line('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with more, which does not count', line('PROXY UNKNOWN ffff:: ::1 65535 65535\r\n'), null],
  ['TCP over IPv4', binary(0x21, 0x11, ipv4), '192.0.2.7'],
  ['TCP over IPv4 with a TLV', binary(0x21, 0x11, Buffer.concat([ipv4, Buffer.alloc(300)])), '192.0.2.7'],
  ['TCP over IPv6', binary(0x21, 0x21, ipv6('20010db8000000000000000000000007')), '2001:db8::7'],
  ['IPv6 of an IPv4 address', binary(0x21, 0x21, ipv6('00000000000000000000ffffc0000207')), '192.0.2.7'],
  ['LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), null],
  ['LOCAL with an address, which does not count', binary(0x20, 0x11, ipv4), null],
  ['an unspecified family', binary(0x21, 0x00, Buffer.alloc(5)), null],
  ['a Unix socket', binary(0x21, 0x31, Buffer.alloc(216)), null],
])('%s is read to its last byte, and waited for to its last byte (§2)', (_name, header, address) => {
  const behind = Buffer.concat([header, line('PROXY TCP4 ')])
  expect(readProxyHeader(behind)).toEqual({ length: header.length, address })
  for (let cut = 0; cut < header.length; cut++) expect(readProxyHeader(header.subarray(0, cut))).toBe('incomplete')
})

it.each([
  ['MQTT', Buffer.from([0x10, 0x0c, 0, 4])],
  ['a line of another kind', line('GET / HTTP/1.1\r\n')],
  ['an unknown family', line('PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n')],
  ['an IPv6 address as TCP4', line('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['an address with a leading zero', line('PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n')],
  ['an address with a zone', line('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['no addresses', line('PROXY TCP4\r\n')],
  ['one port', line('PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n')],
  ['three ports', line('PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n')],
  ['a port too high', line('PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n')],
  ['a port with a sign', line('PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n')],
  ['two spaces', line('PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n')],
  ['a line that ends behind 107 bytes', line(`PROXY UNKNOWN${padding}\r\n`)],
  ['a line of 107 bytes without an end', line(`PROXY UNKNOWN${padding}`).subarray(0, 107)],
  ['a wrong signature', line('\r\n\r\n\0\r\nQUIZ')],
  ['version 1 in binary', binary(0x11, 0x11, ipv4)],
  ['an unknown command', binary(0x22, 0x11, ipv4)],
  ['UDP', binary(0x21, 0x12, ipv4)],
  ['a body that is too short for its family', binary(0x21, 0x11, ipv4.subarray(0, 11))],
  ['a body that is too short for IPv6', binary(0x21, 0x21, Buffer.alloc(35))],
  ['a body that would be too long, at once', binary(0x21, 0x11, Buffer.alloc(0), 0xffff)],
])('%s is malformed', (_name, bytes) => {
  expect(readProxyHeader(bytes)).toBe('malformed')
})
