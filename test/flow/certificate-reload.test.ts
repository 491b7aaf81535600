// Certificates that change while the broker runs.
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import { startTestBroker, type TestBroker } from '../helpers/broker.ts'
import { eventually } from '../helpers/eventually.ts'
import { connectClient } from '../script/xmpp-client.ts'

let broker: TestBroker
let folder: string
const files = () => ({ cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clearbox-reload-'))
  await install('first.example')
  const { cert, key } = files()
  broker = await startTestBroker({
    env: { CLEARBOX_TLS_CERT: cert, CLEARBOX_TLS_KEY: key, CLEARBOX_LOG_LEVEL: 'fatal' },
  })
})
afterAll(async () => {
  await broker.stop()
  await rm(folder, { recursive: true, force: true })
})

/** As certbot and Kubernetes do: new files in the place of old ones. */
async function install(name: string): Promise<void> {
  const pair = makeSelfSigned({ names: [name], notBefore: new Date(), notAfter: new Date('2049-01-01') })
  for (const part of ['cert', 'key'] as const) {
    await writeFile(`${files()[part]}.new`, pair[part])
    await rename(`${files()[part]}.new`, files()[part])
  }
}

async function nameAt(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return [subject.CN].flat().join()
}

async function startTlsName(): Promise<string> {
  const client = await connectClient(broker.xmppPort)
  await client.startTls()
  const { socket } = client
  const name =
    'getPeerCertificate' in socket ? (socket as ReturnType<typeof connect>).getPeerCertificate().subject.CN : ''
  client.destroy()
  return [name].flat().join()
}

const names = async () => [
  await nameAt(broker.mqttsPort),
  await nameAt(broker.xmppsPort),
  await nameAt(broker.httpsPort),
  await startTlsName(),
]

it('new files are served by all listeners within seconds, and connections stay', async () => {
  expect(new Set(await names())).toEqual(new Set(['first.example']))
  const { name: username, password } = await broker.account('stays')
  const url = `mqtts://127.0.0.1:${broker.mqttsPort}`
  const client = await connectAsync(url, { username, password, rejectUnauthorized: false, reconnectPeriod: 0 })
  await install('second.example')
  await eventually(async () => (await names()).every((name) => name === 'second.example'))
  await client.publishAsync('still/here', 'x', { qos: 1 })
  expect(client.connected).toBe(true)
  await client.endAsync()
})

it('files that cannot be used leave the old certificate in force, and better ones come later', async () => {
  await writeFile(files().cert, 'nonsense')
  await rm(files().key)
  // Longer than the broker takes to see it.
  const until = Date.now() + 3000
  await eventually(async () => {
    expect(new Set(await names())).toEqual(new Set(['second.example']))
    return Date.now() > until
  })
  await install('third.example')
  await eventually(async () => (await names()).every((name) => name === 'third.example'))
})
