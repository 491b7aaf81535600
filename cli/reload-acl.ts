// SIGHUP: the configuration is read again, and of it the rules of plain topics are taken over.
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../broker/config.ts'
import { loadConfig } from '../broker/config-load.ts'
import { type SettingPath, settingPaths } from '../broker/config-table.ts'
import type { Logger } from '../broker/log.ts'
import type { Broker } from '../broker/main.ts'
import { defaultFile } from './read-config.ts'

type Deps = Readonly<{
  /** Null: the usual one. */
  configFile: string | null
  /** What the server was started with. */
  running: Config
  broker: Pick<Broker, 'replaceAcl'>
  logger: Logger
}>

/** With a fault anywhere in it nothing changes, and every fault is logged. Never throws. */
export async function reloadAcl({ configFile, running, broker, logger }: Deps): Promise<void> {
  const loaded = loadConfig({ file: configFile ?? defaultFile, env: process.env, fileRequired: configFile !== null })
  if ('faults' in loaded) {
    for (const fault of loaded.faults) logger.error(fault)
    logger.error('the configuration was read again and has faults: the rules of plain topics stay as they are')
    return
  }
  for (const path of settingPaths) {
    if (path === 'acl' || isDeepStrictEqual(settingIn(running, path), settingIn(loaded.config, path))) continue
    logger.warn(`${path} has changed in the configuration: that needs a restart`)
  }
  try {
    await broker.replaceAcl(loaded.config.acl)
    logger.info({ rules: loaded.config.acl.length }, 'the rules of plain topics were read again')
  } catch (err) {
    logger.error({ err }, 'not every subscription could be looked at after the rules of plain topics have changed')
  }
}

function settingIn(config: Config, path: SettingPath): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config)
}
