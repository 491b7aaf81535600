// Whatever a client sends, however it is cut: the broker lives, and a witness pair notices nothing.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { runs } from '../helpers/hostile-fuzz.ts'
import {
  connectPacket,
  disconnectPacket,
  pingPacket,
  pubackPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'

let broker: TestBroker
let account: Readonly<{ name: string; password: string }>
let [speaker, listener]: (RawMqtt | null)[] = []
let said = 0
const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)

beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', onFault)
  broker = await startTestBroker({ env: { CLEARBOX_LOG_LEVEL: 'silent' } })
  account = await broker.account()
  const witness = await broker.account()
  const login = () => loginRaw(broker.mqttPort, { username: witness.name, password: witness.password })
  ;[speaker, listener] = [await login(), await login()]
  await listener.subscribe(['witness/only', `u/${witness.name}/text`])
})
afterAll(async () => {
  process.off('uncaughtExceptionMonitor', onFault)
  await broker.stop()
})

async function witnessIsWell(): Promise<void> {
  const payload = `${++said}`
  await speaker?.publish({ topic: 'witness/only', payload, qos: 1 })
  const heard = await listener?.expect('publish')
  expect(heard?.payload).toBe(payload)
  if (heard) listener?.ack(heard)
  expect(faults).toEqual([])
}

/** Longer than a conversation takes; what waits for the rest of a packet is not answered. */
const patienceMs = 40

/** Sends chunk after chunk, each in its own turn, and ends when the broker has closed or has answered the last ping. */
async function attack(chunks: readonly Uint8Array[]): Promise<void> {
  const socket = connect({ port: broker.mqttPort, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  const over = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
    socket.on('data', (bytes: Buffer) => {
      if (bytes.at(-2) === 0xd0 && bytes.at(-1) === 0) resolve()
    })
  })
  await once(socket, 'connect')
  for (const chunk of [...chunks, pingPacket]) {
    if (socket.destroyed) break
    socket.write(chunk)
    await new Promise(setImmediate)
  }
  await Promise.race([over, pause(patienceMs)])
  socket.end()
  if (!socket.closed) await once(socket, 'close')
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length))
}

const level = fc.constantFrom(4 as const, 5 as const)
const topic = () =>
  fc.constantFrom('a', 'a/b', `u/${account.name}/in`, `u/${account.name}/msg`, 'u/none/in', '$SYS/x', 'g/x/in', '')
const filter = () =>
  fc.constantFrom('a/+', 'a/b', '#', 'a/#/b', `u/${account.name}/#`, `u/${account.name}/text`, '$share/x/y', 'u/+/msg')

/** A packet that could be valid, at this level. */
const packet = (of: 4 | 5) =>
  fc.oneof(
    fc
      .record({
        topic: topic(),
        payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        qos: fc.constantFrom(0 as const, 1 as const, 1 as const, 2 as const),
        packetId: fc.nat(70),
        retain: fc.boolean(),
        dup: fc.boolean(),
        properties: fc.constantFrom({}, {}, { messageExpiryInterval: 1 }, { topicAlias: 3 }, { contentType: 'x' }),
      })
      .map((fields) => publishPacket(of, fields)),
    fc
      .array(fc.record({ filter: filter(), qos: fc.constantFrom(0 as const, 1 as const, 2 as const) }), {
        maxLength: 4,
      })
      .map((filters) => subscribePacket(of, 1, filters)),
    fc.array(filter(), { maxLength: 3 }).map((filters) => unsubscribePacket(of, 2, filters)),
    fc.nat(70).map(pubackPacket),
    fc.constant(pingPacket),
    fc.constantFrom(disconnectPacket(0), disconnectPacket(4)),
    fc.constant(connectPacket({ level: of })),
  )

/** A login and what follows it. */
const session = () =>
  level.chain((of) =>
    fc.record({
      login: fc
        .record({
          clean: fc.boolean(),
          clientId: fc.constantFrom('', 'x', 'y'),
          keepAlive: fc.constantFrom(0, 1, 60),
          properties: fc.constantFrom(
            {},
            { sessionExpiryInterval: 5 },
            { receiveMaximum: 1 },
            { maximumPacketSize: 9 },
          ),
        })
        .map((fields) => connectPacket({ level: of, username: account.name, password: account.password, ...fields })),
      packets: fc.array(packet(of), { maxLength: 30 }),
    }),
  )

const places = fc.array(fc.nat(100_000), { maxLength: 12 })

it('random bytes, before and after the login', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), level, fc.uint8Array({ minLength: 1, maxLength: 600 }), places, async (...drawn) => {
      const [isLoggedIn, of, noise, where] = drawn
      const login = connectPacket({ level: of, username: account.name, password: account.password })
      await attack(cut(Buffer.concat([...(isLoggedIn ? [login] : []), noise]), where))
      await witnessIsWell()
    }),
    runs(150),
  )
})

it('conversations that could be valid, cut at random places', async () => {
  await fc.assert(
    fc.asyncProperty(session(), places, async ({ login, packets }, where) => {
      await attack(cut(Buffer.concat([login, ...packets]), where))
      await witnessIsWell()
    }),
    runs(150),
  )
})

it('conversations with bytes changed, left out and put in', async () => {
  const change = fc.record({ at: fc.nat(100_000), kind: fc.nat(2), byte: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(session(), fc.array(change, { minLength: 1, maxLength: 6 }), places, async (...drawn) => {
      const [{ login, packets }, changes, where] = drawn
      const bytes = [...Buffer.concat(packets)]
      for (const { at, kind, byte } of changes)
        bytes.splice(at % (bytes.length + 1), kind === 2 ? 0 : 1, ...(kind ? [byte] : []))
      await attack(cut(Buffer.concat([login, Buffer.from(bytes)]), where))
      await witnessIsWell()
    }),
    runs(150),
  )
})

it('many at once, broken off anywhere', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(session(), fc.nat(3000)), { minLength: 5, maxLength: 15 }), async (all) => {
      await Promise.all(
        all.map(([{ login, packets }, length]) => attack([Buffer.concat([login, ...packets]).subarray(0, length)])),
      )
      await witnessIsWell()
    }),
    runs(25),
  )
})
