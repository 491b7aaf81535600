// Files of certificates and keys: can they be read, and do they fit together?
import { accessSync, constants, readFileSync } from 'node:fs'
import { certificateFault } from './certificate-fault.ts'
import type { Found } from './config-found.ts'
import type { SettingPath } from './config-table.ts'
import type { ListenerConfig } from './listener-config.ts'

export function tlsFaults(found: ReadonlyMap<SettingPath, Found>): string[] {
  return [...ownFaults(found), ...listenerFaults(found.get('listeners'))]
}

function listenerFaults(found: Found | undefined): string[] {
  if (found === undefined) return []
  return (found.value as readonly ListenerConfig[]).flatMap(({ name, tls: { cert, key } = {} }) => {
    if (cert === undefined || key === undefined) return []
    const where = `${found.where} ${name}`
    const files = [cert, key].map((value) => ({ value, where })) as [Found, Found]
    const faults = files.flatMap(unreadable)
    return faults.length > 0 ? faults : pairFaults(...files)
  })
}

function ownFaults(found: ReadonlyMap<SettingPath, Found>): string[] {
  const cert = found.get('tls.cert')
  const key = found.get('tls.key')
  const faults = [cert, key].flatMap((file) => (file === undefined ? [] : unreadable(file)))
  if (cert !== undefined && key !== undefined) return faults.length > 0 ? faults : pairFaults(cert, key)
  if (cert === undefined && key === undefined) return faults
  const [given, missing] = cert ? [cert, 'tls.key'] : [key, 'tls.cert']
  return [...faults, `${given?.where}: expected ${missing} beside it, found none; give both or none`]
}

function pairFaults(cert: Found, key: Found): string[] {
  try {
    const fault = certificateFault(readFileSync(String(cert.value), 'utf8'), readFileSync(String(key.value), 'utf8'))
    return fault === null ? [] : [`${cert.where}: ${cert.value} and ${key.value} cannot be used: ${fault}`]
  } catch (error) {
    return [`${cert.where}: expected files that can be read (${(error as NodeJS.ErrnoException).code})`]
  }
}

function unreadable({ value, where }: Found): string[] {
  try {
    accessSync(String(value), constants.R_OK)
    return []
  } catch (error) {
    return [`${where}: expected a readable file, found ${value} (${(error as NodeJS.ErrnoException).code})`]
  }
}
