// No two listeners on one port of one address.
import { isIPv4, isIPv6 } from 'node:net'
import type { Found } from './config-found.ts'
import { port } from './config-kinds.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import type { ListenerConfig } from './listener-config.ts'

type FoundAll = ReadonlyMap<SettingPath, Found>

/** `where` undefined: a default. */
type Place = Readonly<{ owner: string; addresses: readonly string[]; port: unknown; where: string | undefined }>

export function portFaults(found: FoundAll): string[] {
  const places = [...fixedPlaces(found), ...listenerPlaces(found)].filter((place) => place.port !== 0)
  return places.flatMap((place, index) => {
    const other = places.slice(0, index).find((earlier) => isShared(earlier, place))
    return other === undefined ? [] : [toFault(place, other)]
  })
}

function fixedPlaces(found: FoundAll): Place[] {
  return settingPaths
    .filter((path) => settingAt(path).kind === port)
    .map((path) => ({
      owner: path,
      addresses: sharedAddresses(found),
      port: found.get(path)?.value ?? settingAt(path).default,
      where: found.get(path)?.where,
    }))
    .filter((place) => place.port !== 'off')
}

function listenerPlaces(found: FoundAll): Place[] {
  const setting = found.get('listeners')
  const listeners = (setting?.value ?? []) as readonly ListenerConfig[]
  return listeners
    .filter((listener) => listener.port !== undefined)
    .map((listener) => ({
      owner: `the listener ${listener.name}`,
      addresses: listener.bind ?? sharedAddresses(found),
      port: listener.port,
      where: `${setting?.where} ${listener.name}`,
    }))
}

function sharedAddresses(found: FoundAll): readonly string[] {
  return (found.get('bind')?.value ?? settingAt('bind').default) as readonly string[]
}

function isShared(one: Place, other: Place): boolean {
  if (one.port !== other.port) return false
  return one.addresses.some((a) =>
    other.addresses.some((b) => a === b || isWithin(b, a, one.addresses) || isWithin(a, b, other.addresses)),
  )
}

/** `::` takes IPv4 as well when no IPv4 address stands beside it. */
function isWithin(address: string, wide: string, besideWide: readonly string[]): boolean {
  if (wide === '0.0.0.0') return isIPv4(address)
  return wide === '::' && (isIPv6(address) || !besideWide.some(isIPv4))
}

/** Told where somebody wrote it: one of the two may be a default. */
function toFault(place: Place, other: Place): string {
  const [where, taken] = place.where === undefined ? [other.where, place.owner] : [place.where, other.owner]
  return `${where}: expected a port of its own, found ${place.port}, which is that of ${taken}`
}
