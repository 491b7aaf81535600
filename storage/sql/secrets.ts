// Random keys of this installation.
import { randomBytes } from 'node:crypto'
import type { SecretStore } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

const READ: Statement = { name: 'secrets-read', text: 'SELECT value FROM secrets WHERE name = $1' }
const OFFER: Statement = {
  name: 'secrets-offer',
  text: 'INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
}

export function createSecretStore(db: Connection): SecretStore {
  async function read(name: string): Promise<Buffer | undefined> {
    const [row] = await db.query<{ value: Buffer }>(READ, [name])
    return row?.value
  }
  return {
    async getOrCreate(name, bytes) {
      const known = await read(name)
      if (known !== undefined) return known
      await db.query(OFFER, [name, randomBytes(bytes)])
      const made = await read(name)
      if (made === undefined) throw new Error(`The secret ${name} was removed while it was made.`)
      return made
    },
  }
}
