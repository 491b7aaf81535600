// What the borders know of listening: they make servers, the broker binds them and gives them the certificate. Types only.
import type { Server } from 'node:net'
import type { SecureContextOptions, Server as TlsServer } from 'node:tls'
import type { Port } from './config.ts'
import type { Listening } from './types.ts'

type Named = Readonly<{
  name: string
  port: Port
  /** Of what else is spoken there. */
  note?: string
}>

/** One server per address. */
export interface Listener {
  readonly listening: readonly Listening[]
  /** Takes no more; resolves when the last connection has gone. */
  close(): Promise<void>
}

export interface Listeners {
  /** `create` is called once per address, or not at all when the port is off. @throws what `listen` of Node throws */
  open(options: Named & Readonly<{ create: () => Server }>): Promise<Listener>
  /** The same over TLS; the server then follows the certificate. */
  openTls(options: Named & Readonly<{ create: (secure: SecureContextOptions) => TlsServer }>): Promise<Listener>
}
