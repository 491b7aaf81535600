// Defaults, then the file, then the environment → one frozen Config, or all faults at once.
import type { Config } from './config.ts'
import { aclFaults } from './config-acl.ts'
import { type Environment, readEnvironment } from './config-environment.ts'
import { readConfigFile } from './config-file.ts'
import type { Found } from './config-found.ts'
import { jwtFaults } from './config-jwt.ts'
import { portFaults } from './config-ports.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import { tlsFaults } from './config-tls.ts'

type Loaded = Readonly<{ config: Config } | { faults: readonly string[] }> & Readonly<{ warnings: readonly string[] }>

type Sources = Readonly<{
  file: string
  env: Environment
  fileRequired: boolean
  /** What the store would say of this URL; null: nothing. */
  databaseFault?: (url: string) => string | null
}>

/** Relative paths, of the file as of the environment, are resolved against the working directory. */
export function loadConfig(sources: Sources): Loaded {
  const file = readConfigFile(sources.file, sources.fileRequired)
  const environment = readEnvironment(sources.env)
  const found = new Map([...file.values, ...environment.values])
  const single = [...file.faults, ...environment.faults]
  const domain = String(found.get('domain')?.value ?? settingAt('domain').default)
  const together = [...tlsFaults(found), ...jwtFaults(found, single), ...aclFaults(found.get('acl'), domain)]
  const faults = [...single, ...together, ...portFaults(found)]
  const url = found.get('database.url')
  const refused = typeof url?.value === 'string' ? sources.databaseFault?.(url.value) : null
  if (url && refused) faults.push(`${url.where}: ${refused}`)
  const warnings = [...file.warnings, ...environment.warnings, ...notBuiltYet(found)]
  return faults.length > 0 ? { faults, warnings } : { config: toConfig(found), warnings }
}

function notBuiltYet(found: ReadonlyMap<SettingPath, Found>): string[] {
  const redis = found.get('redis.url')
  const warnings: string[] = []
  if (redis) warnings.push(`${redis.where}: accepted, but several nodes are not built yet; Redis is not used`)
  return warnings
}

function toConfig(found: ReadonlyMap<SettingPath, Found>): Config {
  const config: Section = {}
  for (const path of settingPaths) {
    const { kind, default: fallback } = settingAt(path)
    const value = found.get(path)?.value ?? kind.toCanonical?.(fallback) ?? fallback
    put(config, path.split('.'), value)
  }
  // The table has a row for every key of Config: its type says so.
  return freeze(config) as unknown as Config
}

type Section = Record<string, unknown>

function put(section: Section, [first = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) section[first] = value
  else {
    section[first] ??= {}
    put(section[first] as Section, rest, value)
  }
}

function freeze(section: Section): Section {
  for (const value of Object.values(section)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) freeze(value as Section)
  }
  return Object.freeze(section)
}
