import type { Config } from '../broker/config.ts'
import { loadConfig } from '../broker/config-load.ts'
import { readDatabaseUrl } from '../storage/database-url.ts'
import { StoreStartError } from '../storage/start-error.ts'
import { CliError } from './cli-error.ts'

export type ReadConfig = Readonly<{ config: Config; warnings: readonly string[] }>

export const defaultFile = 'clearbox.yaml'

/** The configuration of this process. A file that was not asked for may be missing. @throws CliError with all faults */
export function readConfig(file: string | undefined): ReadConfig {
  const loaded = loadConfig({
    file: file ?? defaultFile,
    env: process.env,
    fileRequired: file !== undefined,
    databaseFault,
  })
  if ('config' in loaded) return loaded
  const count = loaded.faults.length === 1 ? 'a fault' : `${loaded.faults.length} faults`
  throw new CliError([`The configuration has ${count}:`, ...loaded.faults.map((fault) => `  ${fault}`)].join('\n'))
}

function databaseFault(url: string): string | null {
  try {
    readDatabaseUrl(url)
    return null
  } catch (fault) {
    if (fault instanceof StoreStartError) return fault.message
    throw fault
  }
}
