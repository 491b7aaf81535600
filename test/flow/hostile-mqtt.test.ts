// What MQTT answers to bytes that are wrong, on each of its listeners. MQTT 5 §4.13, 3.1.1 §4.8
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWebSocketStream, WebSocket } from 'ws'
import { defaultLimits } from '../../broker/limits.ts'
import type { Level } from '../../broker/mqtt/codec/packet-type.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { heard, metric, open, type Target, targetOf } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'
import { byePacket, connectPacket, pingPacket, publishPacket } from '../helpers/mqtt-bytes.ts'
import { invalidConnects } from '../vectors/mqtt-connect.ts'
import type { Invalid } from '../vectors/mqtt-decode.ts'
import { bytes } from '../vectors/mqtt-notation.ts'
import { invalidOthers } from '../vectors/mqtt-others.ts'
import { invalidPubacks, invalidPublishes } from '../vectors/mqtt-publish.ts'
import { invalidSubscribes, invalidUnsubscribes } from '../vectors/mqtt-subscribe.ts'

const carriers = ['mqtt', 'mqtts', 'ws', 'wss'] as const
type Carrier = (typeof carriers)[number]

let broker: TestBroker
let target: Target
let witnesses: Witnesses
let account: Readonly<{ name: string; password: string }>
beforeAll(async () => {
  broker = await startTestBroker({
    env: { CLEARBOX_METRICS_PORT: '0' },
    limits: { ...defaultLimits, loginMs: 1500 },
  })
  target = await targetOf(broker)
  account = await broker.account('hostile')
  witnesses = await startWitnesses(target)
})
afterAll(async () => {
  await witnesses.end()
  await broker.stop()
})

function dial(carrier: Carrier): Duplex {
  if (carrier === 'mqtt' || carrier === 'mqtts') return open(target, carrier)
  const port = target.ports[carrier === 'ws' ? 'http' : 'https']
  const socket = new WebSocket(`${carrier}://127.0.0.1:${port}/mqtt`, 'mqtt', { rejectUnauthorized: false })
  return createWebSocketStream(socket, { allowHalfOpen: false }).on('error', () => undefined)
}

const login = (level: Level) => connectPacket({ level, username: account.name, password: account.password })

/** Says it in one piece, and hears what comes until the broker closes, in hex. */
async function answerTo(carrier: Carrier, ...packets: readonly Buffer[]): Promise<string> {
  const socket = dial(carrier)
  socket.write(Buffer.concat(packets))
  return (await heard(socket)).toString('hex')
}

/** What comes behind the CONNACK. */
async function answerAfterLogin(carrier: Carrier, level: Level, ...packets: readonly Buffer[]): Promise<string> {
  const all = Buffer.from(await answerTo(carrier, login(level), ...packets), 'hex')
  expect(all.subarray(0, 4).toString('hex')).toMatch(level === 5 ? /^20..0000$/ : /^20020000$/)
  return bare(all.subarray(2 + (all[1] ?? 0)).toString('hex'))
}

const hex = (value: number) => value.toString(16).padStart(2, '0')
const end = (reason: number) => `e001${hex(reason)}`

/** A refusal without its Reason String, which on 5 it must have: the rest of it is as long as it says. */
function bare(answer: string): string {
  const [, fixed = '', reason = '', length = '', text = ''] =
    /^(20..00|e0..)(..)..1f(....)((?:..)+)$/.exec(answer) ?? []
  if (text === '' || Number.parseInt(length, 16) * 2 !== text.length) return answer
  return fixed.startsWith('20') ? `200300${reason}00` : `e001${reason}`
}

const length256MiB = Buffer.of(0xff, 0xff, 0xff, 0x7f)
const lengthOfFiveBytes = Buffer.of(0x80, 0x80, 0x80, 0x80, 0x01)

describe.each(carriers)('over %s', (carrier) => {
  it('before the login: a CONNACK with the reason on 5, a close on 3.1.1 and to what is no CONNECT', async () => {
    const expected: Record<string, string> = {}
    const got: Record<string, string> = {}
    await witnesses.during(async () => {
      for (const { name, packet, reason } of invalidConnects) {
        const isNew = /'MQTT' 0[56]/.test(packet)
        const isOld = reason === 0x84 && /'MQTT'|'MQIsdp'/.test(packet)
        expected[name] = isNew ? `200300${hex(reason)}00` : isOld ? '20020001' : ''
        got[name] = bare(await answerTo(carrier, bytes(packet)))
      }
    })
    expect(got).toEqual(expected)
  })

  it('before the login: what is no CONNECT, and one that is too large, is closed without a word', async () => {
    const noises = [
      Buffer.from('a5be17fe0c9e25d59cc1ab', 'hex'),
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      pingPacket, // [MQTT-3.1.0-1]
      Buffer.concat([Buffer.of(0x10), length256MiB]),
      Buffer.concat([Buffer.of(0x10), lengthOfFiveBytes]),
    ]
    const answers = await witnesses.during(() => Promise.all(noises.map((noise) => answerTo(carrier, noise))))
    expect(answers).toEqual(noises.map(() => ''))
  })

  it('after the login: DISCONNECT with the reason on 5, a close on 3.1.1', async () => {
    const vectors: readonly Invalid[] = [
      invalidPublishes,
      invalidPubacks,
      invalidSubscribes,
      invalidUnsubscribes,
      invalidOthers,
    ].flat()
    const expected: Record<string, string> = {}
    const got: Record<string, string> = {}
    await witnesses.during(async () => {
      for (const { name, packet, reason, level = 5 } of vectors) {
        expected[name] = level === 5 ? end(reason) : ''
        got[name] = await answerAfterLogin(carrier, level, bytes(packet))
      }
    })
    expect(got).toEqual(expected)
  })

  it('after the login: a second CONNECT, lengths that are too large, and random bytes', async () => {
    const faults: readonly [reason: number, packet: Buffer][] = [
      [0x82, connectPacket({})], // [MQTT-3.1.0-2]
      [0x95, Buffer.concat([Buffer.of(0x30), length256MiB])], // [MQTT-3.2.2-15]
      [0x81, Buffer.concat([Buffer.of(0x30), lengthOfFiveBytes])], // §1.5.5
      [0x81, Buffer.from('05be17fe0c9e25d59cc1ab', 'hex')],
    ]
    await witnesses.during(async () => {
      for (const [reason, packet] of faults) {
        expect(await answerAfterLogin(carrier, 5, packet)).toBe(end(reason))
        expect(await answerAfterLogin(carrier, 4, packet)).toBe('')
      }
    })
  })
})

it('half a packet is waited for until its sender goes, or for a CONNECT until its time is over (§3.1)', async () => {
  const publish = publishPacket(5, { topic: 'half', payload: 'x'.repeat(1000) })
  await witnesses.during(() =>
    Promise.all(
      carriers.map(async (carrier) => {
        const gone = dial(carrier)
        gone.end(Buffer.concat([login(5), publish.subarray(0, 500)]))
        const [, half] = await Promise.all([heard(gone), answerTo(carrier, login(5).subarray(0, 20))])
        expect(half).toBe('')
      }),
    ),
  )
})

it('a CONNECT that comes byte by byte has no more time than another one', async () => {
  const packet = connectPacket({ clientId: 'x'.repeat(100) })
  const dripInto = async (carrier: Carrier) => {
    const socket = dial(carrier)
    let said = 0
    const drip = setInterval(() => socket.write(packet.subarray(said, ++said)), 100)
    const answer = await heard(socket)
    clearInterval(drip)
    return answer.length === 0 && said < 40
  }
  expect(await witnesses.during(() => Promise.all(carriers.map(dripInto)))).toEqual(carriers.map(() => true))
})

it('a packet that comes in a hundred thousand pieces costs little more than its length', async () => {
  const socket = dial('mqtts')
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  const payload = Buffer.alloc(100_000, 'x')
  const before = process.memoryUsage().rss
  socket.write(login(5))
  const publish = publishPacket(5, { topic: 'pieces', payload, qos: 1, packetId: 7 })
  await witnesses.during(async () => {
    for (let at = 0; at < publish.length; at++) {
      socket.write(publish.subarray(at, at + 1))
      if (at % 1000 === 0) await pause(1)
    }
  })
  socket.write(byePacket)
  expect((await heard(socket)).subarray(-7).toString('hex')).toMatch(/4004000710|40020007/)
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(64)
})

it('nothing of it is left: the connections are those of the witnesses', async () => {
  await expect.poll(() => metric(target, 'mqtt_connections'), { timeout: 5000 }).toBe(witnesses.connections.mqtt)
})
