// RFC 5802 and RFC 7677: what a server keeps of a password  https://www.rfc-editor.org/rfc/rfc5802#section-3
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { toResource } from '../account-name.ts'
import type { Verifier, Verifiers } from '../types.ts'

const deriveKey = promisify(pbkdf2)
const hashes = { 'SCRAM-SHA-1': 'sha1', 'SCRAM-SHA-256': 'sha256' } as const
const saltBytes = 16
const defaultIterations = 10_000

export type Mechanism = keyof Verifiers

/**
 * The password as it is hashed (RFC 8265 §4.2 OpaqueString, the profile that a resource has too). Null: empty, longer
 * than 1023 bytes, or with characters that none may have.
 */
export function preparePassword(password: string): string | null {
  return toResource(password)
}

/** New verifiers with random salts. @throws RangeError for a password that cannot be prepared */
export async function makeVerifiers(password: string): Promise<Verifiers> {
  const prepared = preparePassword(password)
  if (prepared === null) throw new RangeError('the password is empty, too long or has control characters')
  const [sha1, sha256] = await Promise.all([
    makeVerifier('SCRAM-SHA-1', prepared, randomBytes(saltBytes), defaultIterations),
    makeVerifier('SCRAM-SHA-256', prepared, randomBytes(saltBytes), defaultIterations),
  ])
  return { 'SCRAM-SHA-1': sha1, 'SCRAM-SHA-256': sha256 }
}

/** RFC 5802 §3: StoredKey and ServerKey. `prepared` is the result of preparePassword. */
export async function makeVerifier(
  mechanism: Mechanism,
  prepared: string,
  salt: Buffer,
  iterations: number,
): Promise<Verifier> {
  const hash = hashes[mechanism]
  const length = mechanism === 'SCRAM-SHA-1' ? 20 : 32
  const salted = await deriveKey(prepared, salt, iterations, length, hash)
  const hmac = (text: string) => createHmac(hash, salted).update(text).digest()
  const storedKey = createHash(hash).update(hmac('Client Key')).digest()
  return { salt, iterations, storedKey, serverKey: hmac('Server Key') }
}

/** Whether the password is the one behind SCRAM-SHA-256's verifier. Takes as long when it is not. */
export async function matchesVerifiers(prepared: string, verifiers: Verifiers): Promise<boolean> {
  const { salt, iterations, storedKey } = verifiers['SCRAM-SHA-256']
  const made = await makeVerifier('SCRAM-SHA-256', prepared, salt, iterations)
  return timingSafeEqual(made.storedKey, storedKey)
}

/** Verifiers that no password fits, the same at each call, so that an unknown name looks like a known one. */
export function falseVerifiers(installationSecret: Buffer, name: string): Verifiers {
  const make = (mechanism: Mechanism): Verifier => {
    const bytes = (use: string) =>
      createHmac(hashes[mechanism], installationSecret).update(`${mechanism} ${use} ${name}`).digest()
    return {
      salt: bytes('salt').subarray(0, saltBytes),
      iterations: defaultIterations,
      storedKey: bytes('stored key'),
      serverKey: bytes('server key'),
    }
  }
  return { 'SCRAM-SHA-1': make('SCRAM-SHA-1'), 'SCRAM-SHA-256': make('SCRAM-SHA-256') }
}
