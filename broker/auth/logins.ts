// Logins over HTTP: access tokens that name their login, refresh tokens that renew it. RFC 6749 §6, RFC 9700 §4.14.2
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Logger } from '../log.ts'
import type { RefreshTokenStore, StoredLogin } from '../stores.ts'
import type { TokenPair } from '../types.ts'
import { accessLifetimeSeconds, type Tokens } from './tokens.ts'

const refreshLifetimeSeconds = 30 * 24 * 3600
const secretBytes = 32
const pattern = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/

export interface Logins {
  open(account: Readonly<{ id: number; name: string; credentialVersion: number }>): Promise<TokenPair>
  /** `pair` null: the token was used before, and its login is ended now. Null: unknown, expired, ended. */
  refresh(refreshToken: string): Promise<Readonly<{ login: StoredLogin; pair: TokenPair | null }> | null>
  /** In the store, for all nodes; and here at once. */
  end(session: string): Promise<void>
  /** What the store says: this login was ended. */
  ended(session: string): void
  isEnded(session: string): boolean
  /** Calls `end` once when the login ends; it has not ended yet. Returns undo. */
  onEnd(session: string, end: () => void): () => void
  /** Forgets what no access token can name any more; now and then. */
  sweep(): void
}

type Deps = Readonly<{ store: RefreshTokenStore; tokens: Tokens; logger: Logger }>

/** Knows the logins that were ended while their access tokens live on. */
export async function createLogins({ store, tokens, logger }: Deps): Promise<Logins> {
  // Until when their tokens could be good, in the order of their ends; as many as log-outs in one token's lifetime.
  const endedUntil = new Map<string, number>()
  const watchers = new Map<string, Set<() => void>>()

  function ended(session: string): void {
    if (!endedUntil.has(session)) endedUntil.set(session, Date.now() + 1000 * accessLifetimeSeconds)
    const ends = watchers.get(session) ?? []
    watchers.delete(session)
    for (const end of ends) {
      try {
        end()
      } catch (err) {
        logger.error({ err }, 'a connection could not be ended')
      }
    }
  }

  async function toPair(login: StoredLogin, secret: Buffer): Promise<TokenPair> {
    const access = await tokens.issue({ ...login })
    const refreshToken = `${login.session}.${secret.toString('base64url')}`
    return { ...access, refreshToken, refreshExpiresIn: refreshLifetimeSeconds }
  }

  async function end(session: string): Promise<void> {
    await store.end(session)
    ended(session)
  }

  for (const session of await store.endedWithin(accessLifetimeSeconds)) ended(session)

  return {
    async open({ id, name, credentialVersion }) {
      const login = { session: randomUUID(), account: id, name, credentialVersion }
      const secret = randomBytes(secretBytes)
      await store.open(login, hashOf(secret), refreshLifetimeSeconds)
      return toPair(login, secret)
    },
    async refresh(refreshToken) {
      const [, session, text = ''] = pattern.exec(refreshToken) ?? []
      if (session === undefined) return null
      const next = randomBytes(secretBytes)
      const hash = hashOf(Buffer.from(text, 'base64url'))
      const rotated = await store.rotate(session, hash, hashOf(next), refreshLifetimeSeconds)
      if (!rotated) return null
      const { login, reused } = rotated
      if (reused) ended(session)
      return { login, pair: reused ? null : await toPair(login, next) }
    },
    end,
    ended,
    isEnded: (session) => endedUntil.has(session),
    onEnd(session, end) {
      const ends = watchers.get(session) ?? new Set()
      watchers.set(session, ends)
      ends.add(end)
      return () => {
        ends.delete(end)
        if (ends.size === 0 && watchers.get(session) === ends) watchers.delete(session)
      }
    },
    sweep() {
      for (const [session, until] of endedUntil) {
        if (until > Date.now()) return
        endedUntil.delete(session)
      }
    },
  }
}

function hashOf(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest()
}
