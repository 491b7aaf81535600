import { createLogger } from '../broker/log.ts'
import type { Store } from '../broker/stores.ts'
import { openStore } from '../storage/index.ts'
import type { ReadConfig } from './read-config.ts'

/** The store as a tool has it, beside a server or alone; closed in any case. Warnings of the configuration are shown. */
export async function withStore<Result>(
  { config, warnings }: ReadConfig,
  task: (store: Store) => Promise<Result>,
): Promise<Result> {
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  const logger = createLogger(config.log.level === 'info' ? 'warn' : config.log.level)
  const store = await openStore({ config, logger, purpose: 'tool' })
  try {
    return await task(store)
  } finally {
    await store.close()
  }
}
