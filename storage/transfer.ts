// Export and import: all that a store has, in one file that any other store of the same release takes.
import type { Readable, Writable } from 'node:stream'
import { Client } from 'pg'
import type { Config } from '../broker/config.ts'
import type { Logger } from '../broker/log.ts'
import { openEndpoint } from './index.ts'
import { readDump } from './transfer/read-dump.ts'
import { writeDump } from './transfer/write-dump.ts'

export type Rows = Readonly<Record<string, number>>

type Deps = Readonly<{ config: Pick<Config, 'dataDir' | 'database'>; logger: Logger }>

/** A consistent snapshot; whoever writes meanwhile is neither waited for nor held up. Answers the rows by table. */
export function exportTo(output: Writable, deps: Deps): Promise<Rows> {
  return withClient(deps, (client) => writeDump(client, output))
}

/** All or nothing, into a store that has no rows yet. @throws StoreStartError that says why it was not taken */
export function importFrom(input: Readable, deps: Deps): Promise<Rows> {
  return withClient(deps, (client) => readDump(client, input))
}

/** A connection without time limits: one COPY may take hours. */
async function withClient<Result>(deps: Deps, task: (client: Client) => Promise<Result>): Promise<Result> {
  const endpoint = await openEndpoint({ ...deps, purpose: 'tool' })
  try {
    const client = new Client({ ...endpoint.config, application_name: 'clearbox transfer' })
    client.on('error', () => {})
    await client.connect()
    try {
      await client.query("SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'")
      return await task(client)
    } finally {
      await client.end()
    }
  } finally {
    await endpoint.close()
  }
}
