// RFC 5280: a self-signed certificate, written out in DER  https://www.rfc-editor.org/rfc/rfc5280#section-4.1
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'

type Options = Readonly<{
  /** Host names (A-labels) and IP addresses; the first one names the subject too. */
  names: readonly [string, ...string[]]
  notBefore: Date
  notAfter: Date
}>

/** A new EC P-256 key and a server certificate for it, both PEM. */
export function makeSelfSigned({ names, notBefore, notAfter }: Options): Readonly<{ cert: string; key: string }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = toName(names[0])
  const toBeSigned = sequence(
    tagged(0, integer(Buffer.of(2))),
    // Positive, and never zero (§4.1.2.2).
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    ecdsaWithSha256,
    subject,
    sequence(toTime(notBefore), toTime(notAfter)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions(names))),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  const certificate = sequence(toBeSigned, ecdsaWithSha256, bits(signature, 0))
  return {
    cert: toPem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function extensions(names: readonly string[]): Buffer[] {
  const digitalSignature = bits(Buffer.of(0x80), 7)
  const serverAuth = sequence(oid('2b06010505070301'))
  return [
    extension('551d13', true, sequence()), // basicConstraints: no authority
    extension('551d0f', true, digitalSignature), // keyUsage
    extension('551d25', false, serverAuth), // extKeyUsage
    extension('551d11', false, sequence(...names.map(toAlternativeName))), // subjectAltName
  ]
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  const critical = isCritical ? [encode(0x01, Buffer.of(0xff))] : []
  return sequence(oid(id), ...critical, encode(0x04, value))
}

/** §4.2.1.6: dNSName or iPAddress. */
function toAlternativeName(name: string): Buffer {
  return isIP(name) === 0 ? encode(0x82, Buffer.from(name, 'ascii')) : encode(0x87, toAddressBytes(name))
}

function toAddressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const toWords = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)))
  const [left, right] = [toWords(head), toWords(tail)]
  const words = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]))
}

/** A common name of at most 64 characters (appendix A.1); clients look at the alternative names. */
function toName(name: string): Buffer {
  const commonName = sequence(oid('550403'), encode(0x0c, Buffer.from(name.slice(0, 64))))
  return sequence(encode(0x31, commonName))
}

/** §4.1.2.5: two digits for the year until 2049. */
function toTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, '')
  return date.getUTCFullYear() < 2050 ? encode(0x17, Buffer.from(digits.slice(2))) : encode(0x18, Buffer.from(digits))
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

// X.690 §8: tag, length, content.
function encode(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const head = length < 0x100 ? Buffer.of(tag, 0x81, length) : Buffer.of(tag, 0x82, length >> 8, length & 0xff)
  return Buffer.concat([head, content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return encode(0x30, ...parts)
}

function tagged(number: number, content: Buffer): Buffer {
  return encode(0xa0 | number, content)
}

/** Big-endian; the first bit must be 0. */
function integer(bytes: Buffer): Buffer {
  return encode(0x02, bytes)
}

function bits(bytes: Buffer, unused: number): Buffer {
  return encode(0x03, Buffer.of(unused), bytes)
}

function oid(hex: string): Buffer {
  return encode(0x06, Buffer.from(hex, 'hex'))
}

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
