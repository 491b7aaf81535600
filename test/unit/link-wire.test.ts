// The codec of links throws, or leaves bytes out, where a packet cannot be written: that must end the link and nothing else.
import { type Duplex, PassThrough } from 'node:stream'
import type { Packet } from 'mqtt-packet'
import { expect, it } from 'vitest'
import { createLoopback } from '../../broker/mqtt/link-loopback.ts'
import { openLinkWire } from '../../broker/mqtt/link-wire.ts'

const options = { version: 5, maxPacketBytes: 1_000_000 } as const
const publish = (fields: object) => ({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, ...fields }) as Packet

/** Also when it ends with an error. */
const closeOf = (stream: Duplex) => new Promise<void>((resolve) => void stream.once('close', resolve))

it.each([
  ['a topic beyond 65,535 bytes', { topic: 'a'.repeat(65_537) }],
  ['a property of no value', { properties: { contentType: null } }],
  ['a user property of no value', { properties: { userProperties: { a: null } } }],
])('writes nothing of %s', async (_what, fields) => {
  const stream = new PassThrough()
  const written: Buffer[] = []
  const wire = openLinkWire(stream, options)
  stream.on('data', (chunk: Buffer) => void written.push(chunk))
  const closed = closeOf(stream)
  wire.write(publish(fields))
  await closed
  expect(written).toEqual([])
})

it('ends the stream when what is read cannot be', async () => {
  const [near, far] = createLoopback()
  const wire = openLinkWire(near, options)
  wire.receive((packet) => void wire.write(packet))
  const closed = closeOf(near)
  // PUBLISH with a content type of 65,535 bytes that are not there.
  far.write(Buffer.from([0x30, 0x07, 0x00, 0x01, 0x74, 0x03, 0x03, 0xff, 0xff]))
  await closed
  expect(near.destroyed).toBe(true)
})
