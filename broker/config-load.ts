// Defaults, then the file, then the environment → one frozen Config, or all faults at once.
import { accessSync, constants } from 'node:fs'
import type { Config } from './config.ts'
import { aclFaults } from './config-acl.ts'
import { type Environment, readEnvironment } from './config-environment.ts'
import { readConfigFile } from './config-file.ts'
import { jwtFaults } from './config-jwt.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import type { Found } from './config-values.ts'

type Loaded = Readonly<{ config: Config } | { faults: readonly string[] }> & Readonly<{ warnings: readonly string[] }>

/** Relative paths, of the file as of the environment, are resolved against the working directory. */
export function loadConfig(sources: { file: string; env: Environment; fileRequired: boolean }): Loaded {
  const file = readConfigFile(sources.file, sources.fileRequired)
  const environment = readEnvironment(sources.env)
  const found = new Map([...file.values, ...environment.values])
  const single = [...file.faults, ...environment.faults]
  const domain = String(found.get('domain')?.value ?? settingAt('domain').default)
  const faults = [...single, ...tlsFaults(found), ...jwtFaults(found, single), ...aclFaults(found.get('acl'), domain)]
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
