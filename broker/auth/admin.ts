import { randomInt } from 'node:crypto'
import type { AccountStore } from '../stores.ts'
import { makeVerifiers } from './scram.ts'

/**
 * Makes the account `admin` when there is none, with `password` or a random one. Answers the random one, to be shown once;
 * null: the account was there, or its password was given.
 */
export async function ensureAdmin(accounts: AccountStore, password: string | null): Promise<string | null> {
  if (await accounts.byName('admin')) return null
  const chosen = password ?? generatePassword()
  const verifiers = await makeVerifiers(chosen)
  const made = await accounts.create({ name: 'admin', role: 'admin', plainTopics: 'all', verifiers })
  return made && password === null ? chosen : null
}

// Without letters and digits that look alike.
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789'

/** Four groups of five: 99 bits, easy to read out and to type. */
function generatePassword(): string {
  const group = () => Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}
