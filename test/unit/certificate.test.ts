import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterAll, expect, test } from 'vitest'
import { type Certificate, openCertificate } from '../../broker/certificate.ts'
import { createLogger } from '../../broker/log.ts'
import { makeSelfSigned } from '../../broker/self-signed.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'clearbox-tls-'))
  folders.push(folder)
  return folder
}

const logger = createLogger('silent')
const load = (config: Parameters<typeof openCertificate>[0]['config']) => openCertificate({ config, logger })
const none = { cert: null, key: null }
const serialOf = (made: Certificate) => new X509Certificate(readFileSync(made.certFile)).serialNumber

test('a first start makes a certificate that a client verifies for localhost by name and by address', async () => {
  const made = await load({ tls: none, dataDir: makeFolder(), domain: 'localhost' })
  expect(made.isSelfSigned).toBe(true)
  expect(statSync(made.keyFile).mode & 0o777).toBe(0o600)
  const server = createServer({ SNICallback: (_name, done) => done(null, made.secureContext()) })
  server.on('secureConnection', (socket) => socket.end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(made.certFile) })
  await once(socket, 'secureConnect')
  expect(socket.authorized).toBe(true)
  expect(new X509Certificate(readFileSync(made.certFile)).checkIP('::1')).toBe('::1')
  socket.destroy()
  server.close()
})

test('the next start keeps it; another domain, a damaged pair or one near its end gets a new one', async () => {
  const dataDir = makeFolder()
  const loadFor = (domain: string) => load({ tls: none, dataDir, domain })
  const first = await loadFor('bücher.example')
  const serial = serialOf(first)
  expect(new X509Certificate(readFileSync(first.certFile)).subjectAltName).toBe('DNS:xn--bcher-kva.example')
  expect(serialOf(await loadFor('bücher.example'))).toBe(serial)
  const other = await loadFor('[::1]')
  expect(serialOf(other)).not.toBe(serial)
  const otherSerial = serialOf(other)
  writeFileSync(other.keyFile, 'damaged')
  const third = await loadFor('[::1]')
  expect(serialOf(third)).not.toBe(otherSerial)
  const soon = new Date(Date.now() + 29 * 24 * 60 * 60 * 1000)
  const ending = makeSelfSigned({ names: ['::1'], notBefore: new Date(0), notAfter: soon })
  writeFileSync(third.certFile, ending.cert)
  writeFileSync(third.keyFile, ending.key)
  await loadFor('[::1]')
  expect(readFileSync(third.certFile, 'utf8')).not.toBe(ending.cert)
})

test('RFC 5280 §4.2.1.6: names and addresses of every form stand in the certificate', () => {
  const names = ['a.example', '10.1.2.3', '2001:db8::ff:1:2', '::', '::ffff:1.2.3.4'] as const
  const { cert } = makeSelfSigned({ names, notBefore: new Date(), notAfter: new Date('2055-01-01') })
  const read = new X509Certificate(cert)
  expect(read.subjectAltName).toBe(
    'DNS:a.example, IP Address:10.1.2.3, IP Address:2001:DB8:0:0:0:FF:1:2, IP Address:0:0:0:0:0:0:0:0, IP Address:0:0:0:0:0:FFFF:102:304',
  )
  expect(Date.parse(read.validTo)).toBe(Date.parse('2055-01-01'))
  expect(read.ca).toBe(false)
})

test('configured files are used as they are', async () => {
  const source = await load({ tls: none, dataDir: makeFolder(), domain: 'example.org' })
  const tls = { cert: source.certFile, key: source.keyFile }
  const used = await load({ tls, dataDir: makeFolder(), domain: 'elsewhere.org' })
  expect(used).toMatchObject({ isSelfSigned: false, certFile: tls.cert, keyFile: tls.key })
})

test('a key of another certificate is refused with the names of the files', async () => {
  const one = await load({ tls: none, dataDir: makeFolder(), domain: 'example.org' })
  const two = await load({ tls: none, dataDir: makeFolder(), domain: 'example.org' })
  const tls = { cert: one.certFile, key: two.keyFile }
  const loading = load({ tls, dataDir: makeFolder(), domain: 'example.org' })
  await expect(loading).rejects.toThrow(`${one.certFile} and ${two.keyFile} cannot be used`)
})
