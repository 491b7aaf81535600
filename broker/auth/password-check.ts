import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { createGate } from './gate.ts'
import type { Entry, LiveAccounts } from './live-accounts.ts'
import { falseVerifiers, matchesVerifiers } from './scram.ts'

// DESIGN §3. Two of the thread pool's four threads stay free for files and names.
const verifications = { running: 2, waiting: 256 }
const proofLifetimeMs = 10 * 60_000

/**
 * Answers the entry when the password is right. Every wrong one costs one key derivation and one look into the store.
 * `demand` throws when nothing may be tried; it is asked again when the turn has come.
 */
export type PasswordCheck = (name: string, prepared: string, demand: () => void) => Promise<Entry | null>

export function createPasswordCheck(live: LiveAccounts, decoySecret: Buffer): PasswordCheck {
  const nodeKey = randomBytes(32)
  const gate = createGate(verifications)
  const proofOf = (entry: Entry, prepared: string) =>
    createHmac('sha256', nodeKey).update(`${entry.account.id} ${prepared}`).digest()

  function isProven(entry: Entry, prepared: string): boolean {
    const { proof } = entry
    return proof !== null && proof.until > performance.now() && timingSafeEqual(proof.mac, proofOf(entry, prepared))
  }

  async function derive(entry: Entry | null, name: string, prepared: string): Promise<Entry | null> {
    const account = entry?.account
    const isRight = await matchesVerifiers(prepared, account?.verifiers ?? falseVerifiers(decoySecret, name))
    // The password may have changed while we were at it.
    if (!isRight || !entry || entry.account !== account) return null
    entry.proof = { mac: proofOf(entry, prepared), until: performance.now() + proofLifetimeMs }
    return entry
  }

  async function verify(name: string, prepared: string): Promise<Entry | null> {
    const known = live.knownByName(name)
    if (!known) return derive(await live.load(name), name, prepared)
    if (isProven(known, prepared)) return known
    const tried = known.account
    const verified = await derive(known, name, prepared)
    if (verified) return verified
    // Perhaps a password that another process has just set.
    const current = await live.load(name)
    return current && current.account !== tried ? derive(current, name, prepared) : null
  }

  return async (name, prepared, demand) => {
    demand()
    const known = live.knownByName(name)
    if (known && isProven(known, prepared)) return known
    return gate(() => {
      demand()
      return verify(name, prepared)
    })
  }
}
