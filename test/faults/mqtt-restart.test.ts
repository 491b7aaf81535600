// MQTT 5 §4.4, §3.1.2.5: `kill -9` of the broker while messages are in flight, and while Wills are owed.
import { expect, it, onTestFinished } from 'vitest'
import { publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'

async function start(): Promise<Server> {
  const server = await startServer()
  onTestFinished(server.dispose)
  await server.addUser('alice')
  return server
}

async function killed(server: Server): Promise<Server> {
  await server.kill('broker')
  const next = await server.restart()
  onTestFinished(next.dispose)
  return next
}

const alice = { username: 'alice', password: passwordOf('alice') }
const persistent = (clientId: string) => ({
  ...{ ...alice, clientId, clean: false, properties: { sessionExpiryInterval: 1000 } },
})

async function publishAll(publisher: RawMqtt, topic: string, payloads: readonly string[]): Promise<void> {
  publisher.send(...payloads.map((payload, i) => publishPacket(5, { topic, payload, qos: 1, packetId: i + 1 })))
  for (const _ of payloads) await publisher.expect('puback')
}

/** All that was written behind is in the store: the connection has gone and the round has passed. */
async function savedTo(server: Server, clientId: string): Promise<void> {
  // A round saves what is dirty every two seconds, in order; this Will is due after the one that saved the session.
  const watcher = await loginRaw(server.ports.mqtt, alice)
  await watcher.subscribe(['saved'])
  const will = { topic: 'saved', payload: clientId, qos: 1 as const, properties: { willDelayInterval: 3 } }
  await (await loginRaw(server.ports.mqtt, { ...persistent(`${clientId} saved`), will })).break()
  watcher.autoAck = true
  expect(await watcher.expect('publish')).toMatchObject({ payload: clientId })
  await watcher.leave()
}

it('what is in flight comes again after kill -9: in order, with DUP, under the packet ids that were saved', async () => {
  const first = await start()
  const subscriber = await loginRaw(first.ports.mqtt, persistent('phone'))
  await subscriber.subscribe(['q'])
  const publisher = await loginRaw(first.ports.mqtt, alice)
  await publishAll(publisher, 'q', ['0', '1', '2', '3'])
  const flying = await subscriber.publishes(4)
  for (const at of [0, 2]) subscriber.ack(flying[at] as ServerPublish)
  await subscriber.ping()
  await savedTo(first, 'phone')
  // Sent and acknowledged after the last save: comes again, but under an id of its own.
  await publishAll(publisher, 'q', ['late'])
  const [late] = await subscriber.publishes(1)
  subscriber.ack(late as ServerPublish)
  await subscriber.ping()

  const second = await killed(first)
  const again = await loginRaw(second.ports.mqtt, persistent('phone'))
  const got = await again.publishes(3)
  const left = [1, 3].map((at) => flying[at] as ServerPublish)
  expect(got.slice(0, 2).map(({ payload, packetId, dup }) => [payload, packetId, dup])).toEqual(
    left.map(({ payload, packetId }) => [payload, packetId, true]),
  )
  expect(got[2]).toMatchObject({ payload: 'late', dup: true })
  expect([...flying, late].map((packet) => packet?.packetId)).not.toContain(got[2]?.packetId)
  await again.ping()

  // Killed again before anybody acknowledged: still the same, and what came meanwhile says nothing of a repeat.
  const third = await killed(second)
  await publishAll(await loginRaw(third.ports.mqtt, alice), 'q', ['new'])
  const last = await loginRaw(third.ports.mqtt, persistent('phone'))
  const rest = await last.publishes(4)
  expect(rest.map(({ payload, dup }) => [payload, dup])).toEqual([
    ['1', true],
    ['3', true],
    ['late', true],
    ['new', false],
  ])
})

it('a Will of a persistent session is sent after kill -9, after its delay; none that was taken back', async () => {
  const first = await start()
  const watcher = await loginRaw(first.ports.mqtt, persistent('watcher'))
  await watcher.subscribe(['w'])
  const mortal = (clientId: string, seconds: number, on = first) =>
    loginRaw(on.ports.mqtt, {
      ...persistent(clientId),
      will: { topic: 'w', payload: clientId, qos: 1, properties: { willDelayInterval: seconds } },
    })
  const leaving = await mortal('left', 0)
  for (const [clientId, seconds] of [
    ['at once', 0],
    ['comes back', 2],
    ['later', 2],
  ] as const)
    await mortal(clientId, seconds)
  await (await mortal('lost before', 600)).break()
  await leaving.leave()
  await savedTo(first, 'wills')

  const second = await killed(first)
  const startedAt = Date.now()
  const back = await mortal('comes back', 600, second)
  const again = await loginRaw(second.ports.mqtt, persistent('watcher'))
  again.autoAck = true
  const words = await again.publishes(2)
  expect(words.map(({ payload }) => payload)).toEqual(['at once', 'later'])
  expect(Date.now() - startedAt).toBeGreaterThan(1000)
  await again.ping()
  await back.leave()

  // What was sent is not sent again.
  await savedTo(second, 'sent')
  const third = await killed(second)
  const last = await loginRaw(third.ports.mqtt, persistent('watcher'))
  last.autoAck = true
  await savedTo(third, 'again')
  await last.ping()
})

it('what members of a shared subscription have not acknowledged is with one of them after kill -9 (decision 0015)', async () => {
  const first = await start()
  const share = '$share/g/shared'
  const held = await loginRaw(first.ports.mqtt, persistent('held'))
  const taker = await loginRaw(first.ports.mqtt, persistent('taker'))
  for (const client of [held, taker]) await client.subscribe([{ filter: share, qos: 1 }])
  const payloads = Array.from({ length: 400 }, (_, i) => `${i}`)
  await taker.leave()
  const publisher = await loginRaw(first.ports.mqtt, alice)
  for (let at = 0; at < payloads.length; at += 50) await publishAll(publisher, 'shared', payloads.slice(at, at + 50))
  // The other member comes, this one is lost: what it has goes over while the broker is killed.
  const back = await loginRaw(first.ports.mqtt, persistent('taker'))
  await back.ping()
  await held.break()
  back.autoAck = true
  const got = new Set<string>()
  for (const { payload } of await back.publishes(70)) got.add(payload)

  const second = await killed(first)
  // Only one comes back: it gets what both had.
  const client = await loginRaw(second.ports.mqtt, persistent('taker'))
  client.autoAck = true
  while (got.size < payloads.length) got.add((await client.expect('publish')).payload)
  expect([...got].sort((a, b) => Number(a) - Number(b))).toEqual(payloads)
})
