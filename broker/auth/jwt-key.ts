// RFC 7518 §3.1, RFC 8037 §3.1: which key fits which algorithm. A key has one algorithm, whatever a token says (RFC 8725 §3.1).
import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { JwtAlgorithm } from '../config.ts'

/** `algorithms`: the names of its one algorithm. */
export type JwtKey = Readonly<{ key: KeyObject; algorithms: readonly string[] }>

const maxFileBytes = 64 * 1024
/** RFC 7518 §3.3, RFC 8725 §3.5 */
const minRsaBits = 2048
const curves: Readonly<Record<string, JwtAlgorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/** The key that a setting names, or what is wrong with it, as "expected …". */
export function readJwtKey(file: string, alg: JwtAlgorithm): JwtKey | { fault: string } {
  try {
    if (statSync(file).size > maxFileBytes) return { fault: `expected a key in ${file}, found more than 64 KiB` }
    const bytes = readFileSync(file)
    const fault = alg.startsWith('HS') ? secretFault(bytes, alg) : publicKeyFault(bytes, alg)
    if (fault !== null) return { fault: `${fault} in ${file}` }
    return toJwtKey(alg.startsWith('HS') ? createSecretKey(secretOf(bytes)) : createPublicKey(bytes), alg)
  } catch (error) {
    return { fault: `expected a readable file, found ${file} (${(error as NodeJS.ErrnoException).code})` }
  }
}

/** A key of a JWK Set (RFC 7517 §4). Null: not one to verify signatures with, or unknown here, which is no fault (§5). */
export function toVerifyKey(jwk: Readonly<Record<string, unknown>>): JwtKey | null {
  const isForSignatures = jwk.use === undefined || jwk.use === 'sig'
  // Whoever publishes a private key or a shared secret has shown it to everybody.
  if (!isForSignatures || jwk.kty === 'oct' || jwk.d !== undefined) return null
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const fitting = algorithmsFor(key)
    const alg = jwk.alg === 'Ed25519' ? 'EdDSA' : (jwk.alg ?? fitting[0])
    const fits = fitting.find((known) => known === alg)
    return fits === undefined ? null : toJwtKey(key, fits)
  } catch {
    return null
  }
}

/** RFC 9864 §2.2: EdDSA with this curve has a name of its own. */
function toJwtKey(key: KeyObject, alg: JwtAlgorithm): JwtKey {
  return { key, algorithms: alg === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [alg] }
}

/** The first is that of a key which names none. */
function algorithmsFor(key: KeyObject): readonly JwtAlgorithm[] {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  const ofCurve = curves[namedCurve]
  if (key.asymmetricKeyType === 'ed25519') return ['EdDSA']
  if (key.asymmetricKeyType === 'ec') return ofCurve === undefined ? [] : [ofCurve]
  if (key.asymmetricKeyType !== 'rsa' || modulusLength < minRsaBits) return []
  return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
}

function publicKeyFault(bytes: Buffer, alg: JwtAlgorithm): string | null {
  const expected = `expected a public key for ${alg} in PEM`
  if (bytes.includes('PRIVATE KEY')) return `${expected}, found a private key`
  try {
    return algorithmsFor(createPublicKey(bytes)).includes(alg) ? null : `${expected}, found one that does not fit`
  } catch {
    return `${expected}, found none`
  }
}

/** RFC 7518 §3.2: at least as long as the hash. */
function secretFault(bytes: Buffer, alg: JwtAlgorithm): string | null {
  const minBytes = Number(alg.slice(2)) / 8
  const { length } = secretOf(bytes)
  // RFC 8725 §2.1: a public key as a secret would let everybody sign.
  if (bytes.includes('-----BEGIN')) return `expected a secret for ${alg}, found a key in PEM`
  return length < minBytes ? `expected a secret for ${alg} of at least ${minBytes} bytes, found ${length}` : null
}

function secretOf(bytes: Buffer): Buffer {
  const lineBreak = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? 2 : 1) : 0
  return bytes.subarray(0, bytes.length - lineBreak)
}
