// MQTT 5 §4.4, 3.1.1 §4.4, DESIGN §5: what was in flight when the broker stopped.
import { expect, it } from 'vitest'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { publishPacket } from '../helpers/mqtt-bytes.ts'
import { loginRaw, type RawMqtt, type ServerPublish } from '../helpers/mqtt-raw.ts'

type Account = Readonly<{ name: string; password: string }>
const as = ({ name, password }: Account) => ({ username: name, password })

function persist(on: TestBroker, who: Account, receiveMaximum = 64): Promise<RawMqtt> {
  const properties = { sessionExpiryInterval: 1000, receiveMaximum }
  return loginRaw(on.mqttPort, { ...as(who), clientId: 'phone', clean: false, properties })
}

async function publishAll(publisher: RawMqtt, topic: string, payloads: readonly string[]): Promise<void> {
  publisher.send(...payloads.map((payload, i) => publishPacket(5, { topic, payload, qos: 1, packetId: i + 1 })))
  for (const _ of payloads) await publisher.expect('puback')
}

const shown = ({ payload, packetId, dup }: ServerPublish) => [payload, packetId, dup]
const repeated = ({ payload, packetId }: ServerPublish) => [payload, packetId, true]

it('comes again after a restart with its packet ids, DUP and order; what was acknowledged out of order does not', async () => {
  let broker = await startTestBroker()
  const who = await broker.account()
  const subscriber = await persist(broker, who)
  await subscriber.subscribe(['q'])
  const publisher = await loginRaw(broker.mqttPort, as(who))
  await publishAll(publisher, 'q', ['0', '1', '2', '3', '4', '5'])
  const flying = await subscriber.publishes(6)
  for (const at of [0, 2, 5]) subscriber.ack(flying[at] as ServerPublish)
  await subscriber.ping()
  await subscriber.leave()
  await publishAll(publisher, 'q', ['new'])
  broker = await broker.restart()

  // The store keeps what it knew although this client takes no more than two.
  const slow = await persist(broker, who, 2)
  const left = [1, 3, 4].map((at) => flying[at] as ServerPublish)
  const first = await slow.publishes(2)
  expect(first.map(shown)).toEqual(left.slice(0, 2).map(repeated))
  slow.ack(left[1] as ServerPublish)
  expect(shown(await slow.expect('publish'))).toEqual(repeated(left[2] as ServerPublish))
  await slow.ping()
  broker = await broker.restart()

  const again = await persist(broker, who)
  const got = await again.publishes(3)
  expect(got.slice(0, 2).map(shown)).toEqual([left[0], left[2]].map((packet) => repeated(packet as ServerPublish)))
  const [, , fresh] = got
  expect(fresh).toMatchObject({ payload: 'new', dup: false })
  expect(flying.map(({ packetId }) => packetId)).not.toContain(fresh?.packetId)
  for (const packet of got) again.ack(packet)
  await again.ping()
  await again.leave()
  broker = await broker.restart()
  await (await persist(broker, who)).ping()
  await broker.stop()
})

it('of a stream comes again after a restart with DUP, what was not sent without', async () => {
  let broker = await startTestBroker()
  const [alice, bob] = [await broker.account(), await broker.account()]
  const subscriber = await persist(broker, bob, 2)
  await subscriber.subscribe([`u/${bob.name}/msg`])
  const publisher = await loginRaw(broker.mqttPort, as(alice))
  await publishAll(publisher, `u/${bob.name}/in`, ['0', '1', '2', '3'])
  const [first] = await subscriber.publishes(2)
  subscriber.ack(first as ServerPublish)
  await subscriber.expect('publish')
  await subscriber.ping()
  broker = await broker.restart()
  const again = await persist(broker, bob)
  const got = await again.publishes(3)
  const read = got.map(({ payload, dup }) => [JSON.parse(payload).text, dup])
  expect(read).toEqual([
    ['1', true],
    ['2', true],
    ['3', false],
  ])
  await broker.stop()
})
