// What the sources of configuration share: values with the place they came from, and how a fault is told.
import type { z } from 'zod'
import type { Found } from './config-found.ts'
import { type SettingPath, settingAt } from './config-table.ts'

export type Source = Readonly<{
  values: ReadonlyMap<SettingPath, Found>
  faults: readonly string[]
  warnings: readonly string[]
}>

/** What a person wrote for a setting → its value, or the fault in words. */
export function readSetting(path: SettingPath, written: unknown): { value: unknown } | { fault: string } {
  const { kind } = settingAt(path)
  const result = kind.schema.safeParse(kind.toRaw?.(written) ?? written)
  if (!result.success) return { fault: insideFault(result.error) ?? settingFault(path, written) }
  return { value: kind.toCanonical?.(result.data) ?? result.data }
}

/** Of a value with an inside, such as a list of rules: the first fault that is further in. */
function insideFault({ issues }: z.ZodError): string | undefined {
  const inside = issues.find(({ path }) => path.length > 0)
  return inside && `${inside.path.join('.')}: ${inside.message}`
}

export function settingFault(path: SettingPath, written: unknown): string {
  const { kind } = settingAt(path)
  const isScalar = typeof written === 'number' || typeof written === 'boolean'
  const hint = isScalar && kind.schema.safeParse(`${written}`).success ? '; put it in quotes' : ''
  return `expected ${kind.expected}, found ${describe(written, kind.secret === true)}${hint}`
}

function describe(value: unknown, isSecret: boolean): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a section'
  if (typeof value !== 'string') return isSecret ? `a ${typeof value}` : String(value)
  if (isSecret) return `a text of ${Buffer.byteLength(value)} bytes`
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}
