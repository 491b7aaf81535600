// RFC 7517 §5: the keys of an issuer, read from its URL and kept.
import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type JwtKey, toVerifyKey } from './jwt-key.ts'

/** Where the key of a token comes from. */
export interface KeySource {
  /** Null: there is no such key, or more than one. @throws BrokerError overload when the issuer cannot be asked now */
  keyFor(header: Readonly<{ kid?: string | undefined; alg: string }>): Promise<JwtKey | null>
}

export type Jwks = KeySource &
  Readonly<{
    /** Reads the set for the first time, so that the first login need not wait for it. Never fails. */
    warm(): Promise<void>
  }>

type Options = Readonly<{
  url: string
  logger: Logger
  /** Of one reading, its body included. */
  timeoutMs?: number
  /** A monotonic clock, milliseconds. */
  now?: () => number
}>

type NamedKey = JwtKey & Readonly<{ kid: string | undefined }>

const maxBytes = 256 * 1024
const maxKeys = 100
/** Between two readings for keys that are unknown: whoever makes up key ids cannot make us hammer the issuer. */
const cooldownMs = 30_000
const maxAgeMs = 10 * 60_000

const setSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(maxKeys) })

/** A reading that fails changes nothing: the known keys go on. */
export function createJwks({ url, logger, timeoutMs = 5000, now = () => performance.now() }: Options): Jwks {
  let keys: readonly NamedKey[] = []
  let readAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | null = null
  let hasFailed = false

  async function read(): Promise<void> {
    triedAt = now()
    try {
      keys = await fetchKeys(url, AbortSignal.timeout(timeoutMs))
      readAt = triedAt
      hasFailed = false
      logger.debug({ keys: keys.length }, 'the key set of the issuer was read')
    } catch (fault) {
      if (!hasFailed) logger.warn({ err: fault, url }, 'the key set of the issuer cannot be read; the known keys go on')
      hasFailed = true
    }
  }

  /** One reading at a time, and none within the cooldown. */
  function readAgain(): Promise<void> | null {
    if (reading === null && now() - triedAt >= cooldownMs) {
      reading = read().finally(() => {
        reading = null
      })
    }
    return reading
  }

  function find(kid: string | undefined, alg: string): JwtKey | null {
    const fitting = keys.filter((key) => (kid === undefined || key.kid === kid) && key.algorithms.includes(alg))
    return fitting.length === 1 ? (fitting[0] ?? null) : null
  }

  return {
    async keyFor({ kid, alg }) {
      const ageMs = now() - readAt
      const isKnown = find(kid, alg) !== null
      const again = isKnown && ageMs < maxAgeMs ? null : readAgain()
      // Old because nobody asked for long: a key that has gone since must not be good once more.
      if (!isKnown || (ageMs >= 2 * maxAgeMs && !hasFailed)) await again
      const found = find(kid, alg)
      if (found === null && hasFailed) throw new BrokerError('overload', 'The keys of the issuer cannot be read now.')
      return found
    },
    warm: async () => {
      await readAgain()
    },
  }
}

async function fetchKeys(url: string, signal: AbortSignal): Promise<readonly NamedKey[]> {
  // A redirect could lead from https to anywhere.
  const response = await fetch(url, {
    signal,
    redirect: 'error',
    headers: { accept: 'application/jwk-set+json, application/json' },
  })
  const text = await readText(response)
  if (response.status !== 200) throw new Error(`the answer is ${response.status}`)
  return setSchema.parse(JSON.parse(text)).keys.flatMap((jwk): NamedKey[] => {
    const key = toVerifyKey(jwk)
    return key === null ? [] : [{ ...key, kid: typeof jwk.kid === 'string' ? jwk.kid : undefined }]
  })
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    const bytes: Uint8Array = chunk
    length += bytes.length
    // Leaving the loop ends the connection.
    if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(bytes)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}
