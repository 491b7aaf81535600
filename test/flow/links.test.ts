// Links between two brokers (decision 0017), as the clients of both see them.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LinkConfig } from '../../broker/link-config.ts'
import { adminPassword, startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { loginRaw } from '../helpers/mqtt-raw.ts'

const as = { username: 'admin', password: adminPassword }
const topics: LinkConfig['topics'] = [
  { filter: 'both/#', direction: 'both', qos: 2 },
  { filter: '#', direction: 'out', qos: 1, localPrefix: 'here/', remotePrefix: 'site1/' },
  { filter: '#', direction: 'in', qos: 1, localPrefix: 'site2/', remotePrefix: 'there/' },
]
const linkTo = (port: number, name: string): LinkConfig => ({
  name,
  url: `mqtt://127.0.0.1:${port}`,
  ...as,
  topics,
})

/** Near's link leads to far. */
let near: TestBroker
let far: TestBroker
beforeAll(async () => {
  far = await startTestBroker()
  near = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify([linkTo(far.mqttPort, 'far')]) } })
  await state(near, 'far', '1')
})
afterAll(async () => {
  await near.stop()
  await far.stop()
})

async function state(broker: TestBroker, link: string, value: string): Promise<void> {
  const watcher = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, as)
  const seen: string[] = []
  watcher.on('message', (_, payload) => void seen.push(String(payload)))
  await watcher.subscribeAsync(`$SYS/broker/connection/${link}/state`)
  await eventually(() => expect(seen.at(-1)).toBe(value), 15_000)
  await watcher.endAsync()
}

const login = (broker: TestBroker) => loginRaw(broker.mqttPort, as)

describe('what a link carries', () => {
  it('goes out and comes in under the names of the other side, with its QoS and properties', async () => {
    const [here, there] = [await login(near), await login(far)]
    await there.subscribe(['site1/#'])
    await here.subscribe(['site2/#'])
    const properties = { contentType: 'text/plain', userProperties: [['a', '1']] as [string, string][] }
    await here.publish({ topic: 'here/t', payload: 'out', qos: 1, properties })
    const [out] = await there.publishes(1)
    expect(out).toMatchObject({ topic: 'site1/t', payload: 'out', qos: 1, properties: { contentType: 'text/plain' } })
    expect(out?.properties.userProperties).toContainEqual(['a', '1'])
    await there.publish({ topic: 'there/t', payload: 'in', qos: 1 })
    expect(await here.publishes(1)).toMatchObject([{ topic: 'site2/t', payload: 'in', qos: 1 }])
  })

  it('keeps QoS 2 and order, each message once, in both directions at the same time', async () => {
    const [here, there] = [await mqttOf(near), await mqttOf(far)]
    const numbers = Array.from({ length: 50 }, (_, index) => String(index))
    await here.client.subscribeAsync('both/there', { qos: 2 })
    await there.client.subscribeAsync('both/here', { qos: 2 })
    await Promise.all(
      numbers.flatMap((number) => [
        here.client.publishAsync('both/here', number, { qos: 2 }),
        there.client.publishAsync('both/there', number, { qos: 2 }),
      ]),
    )
    await eventually(() => expect([there.seen.length, here.seen.length]).toEqual([50, 50]))
    expect([there.seen, here.seen]).toEqual([numbers, numbers])
    await Promise.all([here.client.endAsync(), there.client.endAsync()])
  })

  it('does not come back: a publisher behind a two-way link sees its own message once', async () => {
    const here = await mqttOf(near)
    await here.client.subscribeAsync('both/#', { qos: 1 })
    await here.client.publishAsync('both/echo', 'once', { qos: 1 })
    await here.client.publishAsync('both/echo', 'end', { qos: 1 })
    await eventually(() => expect(here.seen).toContain('end'))
    expect(here.seen).toEqual(['once', 'end'])
    await here.client.endAsync()
  })

  it('keeps the retain flag', async () => {
    const here = await mqttOf(near)
    await here.client.publishAsync('here/kept', 'state', { qos: 1, retain: true })
    await eventually(async () => {
      const there = await login(far)
      await there.subscribe(['site1/kept'])
      expect(await there.publishes(1)).toMatchObject([{ payload: 'state', retain: true }])
    })
    await here.client.endAsync()
  })
})

async function mqttOf(broker: TestBroker, protocolVersion: 4 | 5 = 5) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.mqttPort}`, { ...as, protocolVersion })
  const seen: string[] = []
  client.on('message', (_, payload) => void seen.push(String(payload)))
  return { client, seen }
}

it('QoS 2 comes once and in order although the connection is cut again and again', async () => {
  const sockets = new Set<Socket>()
  const proxy = createServer((socket) => {
    const onward = connect(far.mqttPort, '127.0.0.1')
    sockets.add(socket.on('error', () => onward.destroy()).on('close', () => onward.destroy()))
    onward.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  const cut = { ...linkTo(port, 'cut'), topics: [{ filter: 'cut/#', direction: 'both', qos: 2 }] }
  const other = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify([cut]) } })
  await state(other, 'cut', '1')
  // MQTT.js minds no Receive Maximum; 3.1.1 has none.
  const [here, there] = [await mqttOf(other, 4), await mqttOf(far, 4)]
  await here.client.subscribeAsync('cut/there', { qos: 2 })
  await there.client.subscribeAsync('cut/here', { qos: 2 })
  const numbers = Array.from({ length: 600 }, (_, index) => String(index))
  const sent: Promise<unknown>[] = []
  for (const [index, number] of numbers.entries()) {
    sent.push(here.client.publishAsync('cut/here', number, { qos: 2 }))
    sent.push(there.client.publishAsync('cut/there', number, { qos: 2 }))
    if (index % 200 !== 150) continue
    await eventually(() => there.seen.length > index / 2)
    for (const socket of sockets) socket.destroy()
  }
  await Promise.all(sent)
  await eventually(() => expect([there.seen.length, here.seen.length]).toEqual([600, 600]), 60_000)
  expect([there.seen, here.seen]).toEqual([numbers, numbers])
  for (const { client } of [here, there]) await client.endAsync()
  await other.stop()
  proxy.close()
}, 100_000)

it('a stop does not wait for another side that never answers', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const arrived = once(silent, 'connection')
  const other = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify([linkTo(port, 'silent')]) } })
  await arrived
  const began = performance.now()
  await other.stop()
  expect(performance.now() - began).toBeLessThan(10_000)
  silent.close()
}, 60_000)

it('a certificate that nobody known has signed keeps the link down; `ca` names who may', async () => {
  const secure = { ...linkTo(0, 'trusting'), url: `mqtts://localhost:${far.mqttsPort}` }
  const links = [
    { ...secure, ca: join(far.dataDir, 'tls', 'cert.pem') },
    { ...secure, name: 'strict' },
  ]
  const other = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify(links) } })
  await state(other, 'trusting', '1')
  await state(other, 'strict', '0')
  await other.stop()
}, 60_000)

it('in a ring of brokers a message ends after one lap in each direction', async () => {
  const other = await startTestBroker({ env: { CLEARBOX_LINKS: JSON.stringify([linkTo(near.mqttPort, 'back')]) } })
  await state(other, 'back', '1')
  const third = await startTestBroker({
    env: {
      CLEARBOX_LINKS: JSON.stringify([linkTo(other.mqttPort, 'one'), linkTo(far.mqttPort, 'two')]),
    },
  })
  await state(third, 'one', '1')
  await state(third, 'two', '1')
  const watchers = await Promise.all([near, far, other, third].map((broker) => mqttOf(broker)))
  for (const { client } of watchers) await client.subscribeAsync('both/ring', { qos: 1 })
  await watchers[0]?.client.publishAsync('both/ring', 'round', { qos: 1 })
  await watchers[0]?.client.publishAsync('both/ring', 'end', { qos: 1 })
  const copies = (text: string) => watchers.map(({ seen }) => seen.filter((each) => each === text).length)
  // Its own, and one from each neighbour.
  await eventually(() => expect(copies('end')[0]).toBe(3))
  await eventually(() => expect(Math.min(...copies('end'))).toBeGreaterThan(0))
  expect(copies('round')[0]).toBe(3)
  for (const { client } of watchers) await client.endAsync()
  await third.stop()
  await other.stop()
}, 60_000)

it('what is published while the other side is away waits in the store, over a restart here', async () => {
  const port = far.mqttPort
  far = await far.restart({ CLEARBOX_MQTT_PORT: 'off' })
  await state(near, 'far', '0')
  const here = await mqttOf(near)
  await here.client.publishAsync('here/late', 'while away', { qos: 1 })
  await here.client.endAsync()
  near = await near.restart()
  far = await far.restart({ CLEARBOX_MQTT_PORT: String(port) })
  const there = await mqttOf(far)
  await there.client.subscribeAsync('site1/late', { qos: 1 })
  await eventually(() => expect(there.seen).toEqual(['while away']), 20_000)
  await there.client.endAsync()
}, 60_000)
