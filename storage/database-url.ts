// A database URL as libpq reads it  https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
import type { ClientConfig } from 'pg'
import { parse, toClientConfig } from 'pg-connection-string'
import { StoreStartError } from './start-error.ts'

/** `prefer` and `allow` would go on in clear text when TLS fails, and nobody would know. */
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full']

/**
 * `sslmode` means what it means to `psql`: `require` encrypts and believes any certificate, unless `sslrootcert` names an
 * authority; `verify-full` checks authority and name, by the system's authorities when `sslrootcert` is `system` or absent.
 * @throws StoreStartError that never shows the password
 */
export function readDatabaseUrl(text: string): ClientConfig {
  if (!URL.canParse(text))
    throw new StoreStartError('The database URL is no URL: expected postgres://user:password@host/database.')
  const url = new URL(text)
  const mode = url.searchParams.get('sslmode')
  if (mode !== null && !SSL_MODES.includes(mode)) {
    throw new StoreStartError(`The database URL has sslmode=${mode}; expected ${SSL_MODES.join(', ')}.`)
  }
  url.searchParams.delete('uselibpqcompat')
  if (url.searchParams.get('sslrootcert') === 'system') {
    url.searchParams.delete('sslrootcert')
    url.searchParams.set('sslmode', 'verify-full')
  }
  try {
    return toClientConfig(parse(url.href, { useLibpqCompat: true }))
  } catch (error) {
    throw new StoreStartError(`The database URL cannot be used: ${reasonOf(error)}`, { cause: error })
  }
}

function reasonOf(error: unknown): string {
  const { code, path, message } = error as NodeJS.ErrnoException
  return code !== undefined && path !== undefined ? `${path} cannot be read (${code}).` : message
}
