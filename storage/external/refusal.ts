// Why a database cannot be used, in a sentence that says what to do about it, and never with a password.
import { type ClientConfig, DatabaseError } from 'pg'
import { StoreStartError } from '../start-error.ts'

type Place = Readonly<{ user: string; database: string; server: string }>

const BY_SQL_STATE: Readonly<Record<string, (place: Place) => string>> = {
  '28P01': ({ user }) => `The password of the user ${user} is wrong.`,
  '28000': ({ user, database }) =>
    `The server does not let the user ${user} in to the database ${database} (pg_hba.conf, or no such user).`,
  '3D000': ({ database }) =>
    `There is no database ${database}. Make it with: CREATE DATABASE ${database} ENCODING 'UTF8'`,
  '42501': ({ user, database }) =>
    `The user ${user} lacks rights in the database ${database}. Make it the owner (ALTER DATABASE ${database} OWNER TO ` +
    `${user}), or GRANT CREATE ON SCHEMA public TO ${user}.`,
  '53300': () => 'The server has no connection left (max_connections); ClearBox needs about 12.',
  '08P01': () => 'What answers is no PostgreSQL, or a pooler that passes no settings on; connect to the server itself.',
}

const BY_SYSTEM_CODE: Readonly<Record<string, (place: Place) => string>> = {
  ECONNREFUSED: ({ server }) => `Nothing listens on ${server}.`,
  ENOENT: ({ server }) => `Nothing listens on ${server}.`,
  ENOTFOUND: ({ server }) => `The name in ${server} is not known.`,
  EAI_AGAIN: ({ server }) => `The name in ${server} cannot be resolved now.`,
  ETIMEDOUT: ({ server }) => `${server} does not answer.`,
  EHOSTUNREACH: ({ server }) => `${server} cannot be reached.`,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ server }) => `The certificate of ${server} is for another name.`,
  DEPTH_ZERO_SELF_SIGNED_CERT: ({ server }) => `The certificate of ${server} is self-signed; name it in sslrootcert.`,
}

export function refusalOf(error: unknown, { user, database, host, port }: ClientConfig): StoreStartError {
  // A name with several addresses fails with one error for each, and no message of its own.
  const [first] = error instanceof AggregateError ? error.errors : [error]
  const { code = '', message = String(first) } = first as NodeJS.ErrnoException
  const place = { user: String(user ?? ''), database: String(database ?? user), server: `${host} port ${port ?? 5432}` }
  const table = first instanceof DatabaseError ? BY_SQL_STATE : BY_SYSTEM_CODE
  const sentence = table[code]?.(place)
  const reason = sentence === undefined ? message : `${sentence} (${message})`
  return new StoreStartError(`The database at CLEARBOX_DATABASE_URL cannot be used: ${reason}`, { cause: error })
}
