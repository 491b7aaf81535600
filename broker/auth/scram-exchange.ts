// RFC 5802 and RFC 7677: SCRAM, the server's side  https://www.rfc-editor.org/rfc/rfc5802
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Principal, Verifier, Verifiers } from '../types.ts'
import { SaslFault } from './sasl-fault.ts'
import { decodeUtf8 } from './utf8.ts'

const hashes = { 'SCRAM-SHA-1': 'sha1', 'SCRAM-SHA-256': 'sha256' } as const

export type ScramResult =
  | Readonly<{ challenge: string }>
  /** `principal` null: the proof is wrong, or nobody has that name. */
  | Readonly<{ principal: Principal | null; authzid: string; data: string }>

export interface Scram {
  /** @throws SaslFault for a message that RFC 5802 §7 does not allow */
  take(token: Buffer): Promise<ScramResult>
}

type Lookup = (username: string) => Promise<Readonly<{ verifiers: Verifiers; principal: Principal | null }>>

type Begun = Readonly<{
  verifier: Verifier
  principal: Principal | null
  /** The principal's, when the verifiers were read: a password change since then ends the exchange. */
  epoch: number | undefined
  authzid: string
  /** What the client must repeat, in base64, as its channel binding. */
  binding: string
  nonce: string
  /** client-first-message-bare, comma, server-first-message. */
  said: string
}>

/** One exchange of a mechanism without channel binding. */
export function createScram(mechanism: keyof Verifiers, lookUp: Lookup): Scram {
  let begun: Begun | null = null
  let isDone = false

  async function takeFirst(message: string): Promise<ScramResult> {
    const { header, authzid, bare, username, clientNonce } = readFirst(message)
    const { verifiers, principal } = await lookUp(username)
    const verifier = verifiers[mechanism]
    const nonce = clientNonce + randomBytes(18).toString('base64')
    const challenge = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
    const binding = Buffer.from(header).toString('base64')
    begun = { verifier, principal, epoch: principal?.epoch, authzid, binding, nonce, said: `${bare},${challenge}` }
    return { challenge }
  }

  function takeFinal(
    message: string,
    { verifier, principal, epoch, authzid, binding, nonce, said }: Begun,
  ): ScramResult {
    isDone = true
    const match = /^c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]*)*,p=([A-Za-z0-9+/=]+)$/.exec(
      message,
    )
    const [, c, r, p] = match ?? []
    if (match === null || p === undefined) throw new SaslFault('malformed-request')
    const hash = hashes[mechanism]
    const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
    const signed = `${said},${message.slice(0, message.lastIndexOf(',p='))}`
    const signature = hmac(verifier.storedKey, signed)
    const proof = Buffer.from(p, 'base64')
    if (proof.length !== signature.length) throw new SaslFault('malformed-request')
    const clientKey = proof.map((byte, at) => byte ^ (signature[at] ?? 0))
    const isProven = timingSafeEqual(createHash(hash).update(clientKey).digest(), verifier.storedKey)
    const isRight = isProven && c === binding && r === nonce && principal?.epoch === epoch
    const data = `v=${hmac(verifier.serverKey, signed).toString('base64')}`
    return { principal: isRight ? principal : null, authzid, data }
  }

  return {
    async take(token) {
      const message = decodeUtf8(token)
      if (message === null || isDone) throw new SaslFault('malformed-request')
      return begun === null ? takeFirst(message) : takeFinal(message, begun)
    },
  }
}

/** RFC 5802 §7 client-first-message. Mandatory extensions (`m=`) are unknown here and refused, as they ask to be. */
function readFirst(message: string) {
  const match =
    /^(n|y|p=[A-Za-z0-9.-]+),(?:a=([^,\0]+))?,(n=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]*)*)$/.exec(
      message,
    )
  const [, flag, authzid = '', bare, name, clientNonce] = match ?? []
  if (match === null || bare === undefined || name === undefined || clientNonce === undefined) {
    throw new SaslFault('malformed-request')
  }
  // §6: `p` asks for a binding that this mechanism has not; `y` is right, because no mechanism with one is offered.
  if (flag?.startsWith('p')) throw new SaslFault('malformed-request')
  const header = message.slice(0, message.length - bare.length)
  return { header, authzid: unescapeName(authzid), bare, username: unescapeName(name), clientNonce }
}

/** §5.1: `,` and `=` are written `=2C` and `=3D`. */
function unescapeName(name: string): string {
  if (/=(?!2C|3D)/.test(name)) throw new SaslFault('malformed-request')
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
