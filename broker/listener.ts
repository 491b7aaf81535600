// What the borders know of listening: they make servers, the broker binds them and gives them the certificate. Types only.
import type { Server } from 'node:net'
import type { SecureContextOptions, Server as TlsServer } from 'node:tls'
import type { Port } from './config.ts'
import type { Listening } from './types.ts'

type Named = Readonly<{
  name: string
  /** Of what else is spoken there, or how the configuration calls it. */
  note?: string
  /** Per address; never more than those of all listeners. */
  maxConnections?: number
}>

type Placed = Named & Readonly<{ port: Port /** Default: those of all listeners. */; addresses?: readonly string[] }>

/** PEM files; both or none. */
export type CertificateFiles = Readonly<{ cert?: string; key?: string }>

/** One server per address. */
export interface Listener {
  readonly listening: readonly Listening[]
  /** Takes no more; resolves when the last connection has gone. */
  close(): Promise<void>
}

export interface Listeners {
  /** `create` is called once per address, or not at all when the port is off. @throws what `listen` of Node throws */
  open(options: Placed & Readonly<{ create: () => Server }>): Promise<Listener>
  /** The same over TLS; the server then follows the certificate, which is that of all listeners without `files`. */
  openTls(
    options: Placed & Readonly<{ files?: CertificateFiles; create: (secure: SecureContextOptions) => TlsServer }>,
  ): Promise<Listener>
  /** At a Unix socket. @throws Error fit for a person */
  openPath(options: Named & Readonly<{ path: string; mode: number; create: () => Server }>): Promise<Listener>
}
