import type { ClientConfig } from 'pg'

/** A database server to connect to, ours or another's. */
export interface Endpoint {
  readonly config: ClientConfig
  /** @throws TransientStoreError while the server is away and being brought back; another error when it is lost for good */
  check(): void
  /** After all connections of the store are closed. Stops the server if it is ours to stop. */
  close(): Promise<void>
}
