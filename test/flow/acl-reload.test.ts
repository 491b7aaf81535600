// SIGHUP: the file is read again, and of it the rules of plain topics count.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../helpers/eventually.ts'
import { loginRaw, type RawMqtt } from '../helpers/mqtt-raw.ts'
import { passwordOf, type Server, startServer } from '../helpers/process.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'

let folder: ScratchFolder
let server: Server
let client: RawMqtt
const fileWith = (yaml: string) => writeFileSync(join(folder.path, 'clearbox.yaml'), yaml)

beforeAll(async () => {
  folder = await scratchFolder()
  fileWith("acl: [{ allow: both, topics: 'a/#' }, { deny: both, topics: '#' }]\n")
  server = await startServer({ config: join(folder.path, 'clearbox.yaml') })
  await server.addUser('alice')
  client = await loginRaw(server.ports.mqtt, { username: 'alice', password: passwordOf('alice') })
})
afterAll(async () => {
  await server.dispose()
  await folder.remove()
})

const publishTo = async (topic: string) => (await client.publish({ topic, qos: 1 }))?.reason

/** Resolves when the log says so, newly. */
async function hangUp(says: string): Promise<string> {
  const before = server.output().length
  process.kill(server.pid, 'SIGHUP')
  await eventually(() => server.output().slice(before).includes(says))
  return server.output().slice(before)
}

it('other rules count at once', async () => {
  expect([await publishTo('a/x'), await publishTo('b/x')]).toEqual([0, 0x87])
  fileWith("acl:\n  - { allow: both, topics: 'b/#' }\n  - { deny: both, topics: '#' }\nquota: { perSecond: 7 }\n")
  const said = await hangUp('were read again')
  expect(said).toContain('quota.perSecond has changed in the configuration: that needs a restart')
  expect([await publishTo('a/x'), await publishTo('b/x')]).toEqual([0x87, 0])
})

it('a file with faults changes nothing, and every fault is told', async () => {
  fileWith("acl:\n  - { allow: both, topics: 'u/#' }\n  - { allow: read, topics: a }\nmqtt: { port: x }\n")
  const said = await hangUp('stay as they are')
  expect(said).toContain('clearbox.yaml:2:28 acl.0.topics.0: expected a filter of plain topics')
  expect(said).toContain('acl.1.allow: expected publish, subscribe or both')
  expect(said).toContain('mqtt.port: expected a port')
  expect([await publishTo('a/x'), await publishTo('b/x')]).toEqual([0x87, 0])
})

it('a missing file is a fault, too; the next good one counts', async () => {
  fileWith('acl: [\n')
  await hangUp('stay as they are')
  fileWith('domain: localhost\n')
  await hangUp('were read again')
  expect([await publishTo('a/x'), await publishTo('c/x')]).toEqual([0, 0])
})
