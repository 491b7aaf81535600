// Defaults, then the file, then the environment → one frozen Config, or all faults at once.
import { accessSync, constants } from 'node:fs'
import type { Config } from './config.ts'
import { type Environment, readEnvironment } from './config-environment.ts'
import { readConfigFile } from './config-file.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import type { Found } from './config-values.ts'

type Loaded = Readonly<{ config: Config } | { faults: readonly string[] }> & Readonly<{ warnings: readonly string[] }>

/** Relative paths, of the file as of the environment, are resolved against the working directory. */
export function loadConfig(sources: { file: string; env: Environment; fileRequired: boolean }): Loaded {
  const file = readConfigFile(sources.file, sources.fileRequired)
  const environment = readEnvironment(sources.env)
  const found = new Map([...file.values, ...environment.values])
  const faults = [...file.faults, ...environment.faults, ...tlsFaults(found)]
  const warnings = [...file.warnings, ...environment.warnings, ...notBuiltYet(found)]
  return faults.length > 0 ? { faults, warnings } : { config: toConfig(found), warnings }
}

function tlsFaults(found: ReadonlyMap<SettingPath, Found>): string[] {
  const cert = found.get('tls.cert')
  const key = found.get('tls.key')
  const faults = [cert, key].flatMap((file) => (file === undefined ? [] : unreadable(file)))
  if ((cert === undefined) === (key === undefined)) return faults
  const [given, missing] = cert ? [cert, 'tls.key'] : [key, 'tls.cert']
  return [...faults, `${given?.where}: expected ${missing} beside it, found none; give both or none`]
}

function unreadable({ value, where }: Found): string[] {
  try {
    accessSync(String(value), constants.R_OK)
    return []
  } catch (error) {
    return [`${where}: expected a readable file, found ${value} (${(error as NodeJS.ErrnoException).code})`]
  }
}

function notBuiltYet(found: ReadonlyMap<SettingPath, Found>): string[] {
  const redis = found.get('redis.url')
  const warnings: string[] = []
  if (redis) warnings.push(`${redis.where}: accepted, but several nodes are not built yet; Redis is not used`)
  return warnings
}

function toConfig(found: ReadonlyMap<SettingPath, Found>): Config {
  const config: Record<string, unknown> = {}
  for (const path of settingPaths) {
    const { kind, default: fallback } = settingAt(path)
    const value = found.get(path)?.value ?? kind.toCanonical?.(fallback) ?? fallback
    const [section, name] = path.split('.')
    if (name === undefined) config[path] = value
    else config[section ?? path] = Object.freeze({ ...(config[section ?? path] as object), [name]: value })
  }
  // The table has a row for every key of Config: its type says so.
  return Object.freeze(config) as unknown as Config
}
