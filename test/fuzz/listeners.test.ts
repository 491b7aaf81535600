// However bytes are cut on their way, they mean the same; and whatever they are, the broker lives and forgets who said them.
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toXml } from '../../adapters/xmpp/element.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { frame, handshake, readFrames } from '../helpers/hostile-frames.ts'
import { change, changes, cut, isSameStart, places, runs, say } from '../helpers/hostile-fuzz.ts'
import { metric, open, type Target, targetOf } from '../helpers/hostile-target.ts'
import { startWitnesses, type Witnesses } from '../helpers/hostile-witnesses.ts'
import {
  byePacket,
  connectPacket,
  pingPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from '../helpers/mqtt-bytes.ts'
import { XmppClient } from '../script/xmpp-client.ts'

let broker: TestBroker
let target: Target
let witnesses: Witnesses
let account: Readonly<{ name: string; password: string }>
const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)
beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', onFault)
  broker = await startTestBroker({ env: { CLEARBOX_METRICS_PORT: '0' } })
  target = await targetOf(broker)
  account = await broker.account('fuzz')
  witnesses = await startWitnesses(target)
})
afterAll(async () => {
  process.off('uncaughtExceptionMonitor', onFault)
  await witnesses.end()
  await broker.stop()
})

const check = <T extends [unknown, ...unknown[]]>(numRuns: number, property: fc.IAsyncPropertyWithHooks<T>) =>
  witnesses.during(() => fc.assert(property, runs(numRuns)))

const levels = fc.constantFrom(4 as const, 5 as const)
const topics = fc.constantFrom('fuzz/a', 'fuzz/a/b', 'fuzz/\u00fc', 'fuzz/c')
const filters = fc.constantFrom('fuzz/a', 'fuzz/+', 'fuzz/#', 'fuzz/a/#')

/** What a client says behind its CONNECT, up to its goodbye. */
const conversation = levels.chain((level) =>
  fc
    .array(
      fc.oneof(
        fc
          .record({
            topic: topics,
            payload: fc.string({ maxLength: 200 }),
            qos: fc.constantFrom(0 as const, 1 as const),
            packetId: fc.integer({ min: 1, max: 60 }),
          })
          .map((fields) => publishPacket(level, fields)),
        filters.map((filter) => subscribePacket(level, 1, [{ filter, qos: 0 }])),
        filters.map((filter) => unsubscribePacket(level, 2, [filter])),
        fc.constant(pingPacket),
      ),
      { maxLength: 20 },
    )
    .map((packets) => ({ level, packets: Buffer.concat(packets) })),
)

const login = (level: 4 | 5) =>
  connectPacket({ level, clientId: 'fuzz', username: account.name, password: account.password })
const sayMqtt = async (chunks: readonly Buffer[]) => (await say(open(target, 'mqtt'), chunks)).toString('hex')

describe('MQTT', () => {
  it('a conversation gets the same answers in whatever pieces it comes', async () => {
    await check(
      60,
      fc.asyncProperty(conversation, places, async ({ level, packets }, where) => {
        const bytes = Buffer.concat([login(level), packets, byePacket])
        const whole = await sayMqtt([bytes])
        expect(whole).toMatch(/^20/)
        expect(await sayMqtt(cut(bytes, where))).toBe(whole)
      }),
    )
  })

  it('so does one that has gone wrong', async () => {
    await check(
      60,
      fc.asyncProperty(conversation, changes, places, async ({ level, packets }, list, where) => {
        const bytes = Buffer.concat([login(level), change(packets, list), byePacket])
        const answers = [await sayMqtt([bytes]), await sayMqtt(cut(bytes, where)), await sayMqtt([bytes])]
        // What it has left behind (a retained message) is there from the second time on.
        const [first = '', pieces = '', last = ''] = answers
        expect([isSameStart(first, pieces) || isSameStart(pieces, last), answers]).toEqual([true, answers])
      }),
    )
  })
})

describe('WebSocket', () => {
  const pieces = fc.array(fc.nat(100_000), { maxLength: 6 })

  /** The packets in frames, some of them in fragments, with pings between them. */
  function framed(bytes: Buffer, where: readonly number[]): Buffer {
    const parts = cut(bytes, where)
    const frames = parts.map((payload, at) => {
      const fin = at % 3 !== 1 || at === parts.length - 1
      return frame({ opcode: at % 3 === 2 && at > 0 ? 0 : 2, fin, payload })
    })
    return Buffer.concat(
      frames.flatMap((one, at) => (at % 2 === 0 ? [one, frame({ opcode: 9, payload: 'p' })] : [one])),
    )
  }
  const sayFrames = async (chunks: readonly Buffer[]) => readFrames(await say(open(target, 'http'), chunks))
  const upgrade = Buffer.from(handshake('/mqtt'))

  it('frames carry the same conversation as TCP does, in whatever pieces', async () => {
    await check(
      20,
      fc.asyncProperty(conversation, pieces, places, async ({ level, packets }, frames, where) => {
        const bytes = Buffer.concat([login(level), packets, byePacket])
        const bySocket = await sayMqtt([bytes])
        const heard = await sayFrames(cut(Buffer.concat([upgrade, framed(bytes, frames)]), where))
        expect(heard).toMatchObject({ status: 101, closeCode: 1000 })
        expect(heard.payload.toString('hex')).toBe(bySocket)
      }),
    )
  })

  it('frames and handshakes that have gone wrong end in the same way, in whatever pieces', async () => {
    await check(
      60,
      fc.asyncProperty(conversation, fc.boolean(), changes, places, async ({ level, packets }, isHead, list, where) => {
        const frames = framed(Buffer.concat([login(level), packets, byePacket]), [3, 50])
        const bytes = isHead
          ? Buffer.concat([change(upgrade, list), frames])
          : Buffer.concat([upgrade, change(frames, list)])
        const [whole, parts] = [await sayFrames([bytes]), await sayFrames(cut(bytes, where))]
        expect(parts.status).toBe(whole.status)
        expect(isSameStart(parts.payload.toString('hex'), whole.payload.toString('hex'))).toBe(true)
      }),
    )
  })
})

describe('XMPP', () => {
  const stanza = fc.constantFrom(
    `<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>`,
    `<iq type='get' id='2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`,
    `<iq type='get' id='3'><x xmlns='u:\u00fc &amp; &#x1F4F1;'/></iq> \n`,
    `<iq type='set'/>`,
    `<iq type='get' id='4' to='nobody@localhost/x'><ping xmlns='urn:xmpp:ping'/></iq>`,
    `<message to='nobody@localhost' id='5'><body><![CDATA[a & b]]></body></message>`,
    `<presence to='nobody@localhost' type='probe'/>`,
  )
  const stanzas = fc.array(stanza, { maxLength: 12 }).map((all) => Buffer.from(all.join('')))

  async function sayXmpp(chunks: readonly Buffer[]): Promise<readonly string[]> {
    const socket = open(target, 'xmpps') as TLSSocket
    await once(socket, 'secureConnect')
    const client = new XmppClient(socket)
    await client.login(account.name)
    await client.bind('fuzz')
    for (const chunk of [...chunks, Buffer.from('</stream:stream>')]) {
      if (chunk.length > 0) client.write(chunk)
      await new Promise(setImmediate)
    }
    const said: string[] = []
    for (let one = await client.next(); one !== 'end'; one = await client.next()) {
      said.push(typeof one === 'string' ? one : toXml('open' in one ? one.open : one))
    }
    return said
  }

  it('stanzas get the same answers in whatever pieces they come', async () => {
    await check(
      30,
      fc.asyncProperty(stanzas, places, async (bytes, where) => {
        const [whole, parts] = [await sayXmpp([bytes]), await sayXmpp(cut(bytes, where))]
        expect(whole.at(-1)).toBe('close')
        expect(parts.toSorted()).toEqual(whole.toSorted())
      }),
    )
  })

  /** Of a stream error the condition, without its words. */
  const conditionOf = (xml: string) => xml.replace(/<text .*?<\/text>/, '')

  it('so do stanzas that have gone wrong, and the stream ends in the same way', async () => {
    await check(
      40,
      fc.asyncProperty(stanzas, changes, places, async (bytes, list, where) => {
        const wrong = change(bytes, list)
        const [whole, parts] = [await sayXmpp([wrong]), await sayXmpp(cut(wrong, where))]
        expect(parts.map(conditionOf).at(-2)).toBe(whole.map(conditionOf).at(-2))
        // What was said well in one piece with bytes that are not UTF-8 may be lost with them.
        const [some, all] = [whole, parts].toSorted((a, b) => a.length - b.length)
        expect(all?.map(conditionOf)).toEqual(expect.arrayContaining(some?.map(conditionOf) ?? []))
      }),
    )
  })
})

describe('HTTP', () => {
  const request = fc.constantFrom(
    'GET /health HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /v1/history?with=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n',
    'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    'POST /v1/auth/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  const last = Buffer.from('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')

  async function statuses(chunks: readonly Buffer[]): Promise<string> {
    const answer = await say(open(target, 'http'), chunks)
    return [...answer.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status).join(' ')
  }

  it('requests behind each other get the same answers in whatever pieces they come', async () => {
    await check(
      40,
      fc.asyncProperty(fc.array(request, { maxLength: 6 }), places, async (requests, where) => {
        const bytes = Buffer.concat([Buffer.from(requests.join('')), last])
        const whole = await statuses([bytes])
        expect(whole.split(' ')).toHaveLength(requests.length + 1)
        expect(await statuses(cut(bytes, where))).toBe(whole)
      }),
    )
  })

  it('a request that has gone wrong is answered in the same way', async () => {
    await check(
      80,
      fc.asyncProperty(request, changes, places, async (one, list, where) => {
        const bytes = change(Buffer.from(one), list)
        const [whole, parts] = [await statuses([bytes]), await statuses(cut(bytes, where))]
        expect([isSameStart(whole, parts), whole, parts]).toEqual([true, whole, parts])
      }),
    )
  })
})

it('nothing of it is left, and nothing was thrown', async () => {
  const { mqtt, xmpp } = witnesses.connections
  await expect.poll(() => metric(target, 'mqtt_connections'), { timeout: 8000 }).toBe(mqtt)
  await expect.poll(() => metric(target, 'xmpp_connections'), { timeout: 8000 }).toBe(xmpp)
  expect(faults).toEqual([])
})
