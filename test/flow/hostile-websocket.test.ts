// Frames that RFC 6455 forbids, on both paths and both ports. RFC 6455 §5, §7.4.1
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../broker/limits.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import {
  frame,
  handshake,
  openFrames,
  readFrames,
  subprotocols,
  type WebSocketPath,
} from '../helpers/hostile-frames.ts'
import { heard, metric, open, type Target, targetOf } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'

let broker: TestBroker
let target: Target
let witnesses: Witnesses
beforeAll(async () => {
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' }, limits: { ...defaultLimits, loginMs: 1500 } })
  target = await targetOf(broker)
  witnesses = await startWitnesses(target)
})
afterAll(async () => {
  await witnesses.end()
  await broker.stop()
})

const paths = Object.keys(subprotocols) as WebSocketPath[]
const places = paths.flatMap((path) => (['http', 'https'] as const).map((name) => [name, path] as const))
const start = frame({ fin: false, payload: 'x' })
const MiB = 1024n * 1024n

/** `data` is the kind that the path wants, so that nothing but the fault can be the reason. */
const faultsOf = (data: 1 | 2): readonly [what: string, frames: readonly Buffer[], code: number][] => [
  ['no mask (§5.1)', [frame({ opcode: data, isMasked: false, payload: 'x' })], 1002],
  ['a reserved bit, as compression has (§5.2)', [frame({ opcode: data, rsv: 4, payload: 'x' })], 1002],
  ['the other reserved bits', [frame({ opcode: data, rsv: 3, payload: 'x' })], 1002],
  ['an opcode that is reserved (§5.2)', [frame({ opcode: 3 })], 1002],
  ['a control opcode that is reserved', [frame({ opcode: 11 })], 1002],
  ['a continuation of nothing (§5.4)', [frame({ opcode: 0, payload: 'x' })], 1002],
  ['a message inside of another one (§5.4)', [start, frame({ opcode: data })], 1002],
  ['a ping in fragments (§5.4)', [frame({ opcode: 9, fin: false })], 1002],
  ['a ping of 126 bytes (§5.5)', [frame({ opcode: 9, payload: 'x'.repeat(126) })], 1002],
  ['a length of 256 MB', [frame({ opcode: data, announced: 256n * MiB })], 1009],
  ['a length of 2^53 bytes', [frame({ opcode: data, announced: 2n ** 53n })], 1009],
  ['a length with the highest bit (§5.2)', [frame({ opcode: data, announced: 2n ** 63n })], 1009],
  ['a close code that may not be sent (§7.4.1)', [frame({ opcode: 8, payload: Buffer.of(0x03, 0xed) })], 1002],
  ['a close of one byte (§5.5.1)', [frame({ opcode: 8, payload: 'x' })], 1002],
  ['a reason that is not UTF-8', [frame({ opcode: 8, payload: Buffer.of(0x03, 0xe8, 0xff) })], 1007],
  ['thousands of fragments', [start, ...Array.from({ length: 4096 }, () => frame({ opcode: 0, fin: false }))], 1008],
]

function say(name: 'http' | 'https', path: WebSocketPath, bytes: Buffer): Promise<Buffer> {
  const socket = openFrames(target, name, path)
  socket.write(bytes)
  return heard(socket)
}

describe.each(places)('on %s%s', (name, path) => {
  const data = path === '/mqtt' ? 2 : 1

  it('frames that are wrong are closed with their code', async () => {
    const faults = faultsOf(data)
    const answers = await witnesses.during(() =>
      Promise.all(faults.map(([, frames]) => say(name, path, Buffer.concat(frames)))),
    )
    const codes = answers.map((answer, at) => [faults[at]?.[0], readFrames(answer).closeCode])
    expect(codes).toEqual(faults.map(([what, , code]) => [what, code]))
  })

  it('compression is not taken up (RFC 7692 §5)', async () => {
    const socket = open(target, name)
    const offer = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n'
    socket.write(handshake(path, offer))
    socket.write(frame({ opcode: data, rsv: 4, payload: Buffer.from('f248cdc9c907', 'hex') }))
    const answer = await heard(socket)
    expect(readFrames(answer)).toMatchObject({ status: 101, closeCode: 1002 })
    expect(answer.toString('latin1')).not.toMatch(/sec-websocket-extensions/i)
  })
})

it('half a frame, and fragments without an end, wait no longer than a login may', async () => {
  const attacks = places.flatMap(([name, path]) => {
    const opcode = path === '/mqtt' ? 2 : 1
    const more = frame({ opcode: 0, fin: false, payload: 'x' })
    const halves = [
      frame({ opcode, payload: 'x'.repeat(500) }).subarray(0, 100),
      Buffer.concat([frame({ opcode, fin: false, payload: 'x' }), more]),
    ]
    return halves.map((half) => ({ path, half, answer: say(name, path, half) }))
  })
  await witnesses.during(async () => {
    for (const { path, answer } of attacks) {
      expect(readFrames(await answer).payload.toString()).toMatch(path === '/mqtt' ? /^$/ : /connection-timeout/)
    }
  })
})

it('nothing of it is left: the connections are those of the witnesses', async () => {
  await expect.poll(() => metric(target, 'mqtt_connections'), { timeout: 5000 }).toBe(witnesses.connections.mqtt)
  await expect.poll(() => metric(target, 'xmpp_connections'), { timeout: 5000 }).toBe(witnesses.connections.xmpp)
})
