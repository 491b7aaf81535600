// The settings of `auth.jwt` belong together: each of them alone would let nobody in, or everybody.
import { readJwtKey } from './auth/jwt-key.ts'
import type { JwtAlgorithm } from './config.ts'
import type { Found } from './config-found.ts'
import { type SettingPath, settingAt } from './config-table.ts'

const names = ['issuer', 'audience', 'keyFile', 'alg', 'jwks', 'accountClaim'] as const
type Name = (typeof names)[number]
type Given = Partial<Record<Name, Found>>

/** `faults`: of single settings, so far; a setting that has one is not missing. */
export function jwtFaults(found: ReadonlyMap<SettingPath, Found>, faults: readonly string[]): string[] {
  const given: Given = {}
  for (const name of names) {
    const path = `auth.jwt.${name}` as const
    const setting = found.get(path) ?? unread(path, faults)
    // A file with all defaults names them, too.
    if (setting !== undefined && setting.value !== settingAt(path).default) given[name] = setting
  }
  const [first] = Object.values(given)
  return first === undefined ? [] : [...missing(given, first), ...keyFaults(given)]
}

/** A setting whose value has been refused already. */
function unread(path: SettingPath, faults: readonly string[]): Found | undefined {
  const { env } = settingAt(path)
  const fault = faults.find((words) => words.startsWith(`${env}: `) || words.includes(` ${path}: `))
  return fault === undefined ? undefined : { value: undefined, where: env }
}

function missing({ issuer, audience, keyFile, jwks }: Given, { where }: Found): string[] {
  const faults: string[] = []
  const demand = (name: string) => faults.push(`${where}: expected ${name} beside it, found none`)
  if (issuer === undefined) demand('auth.jwt.issuer')
  if (audience === undefined) demand('auth.jwt.audience')
  if (keyFile === undefined && jwks === undefined) demand('auth.jwt.keyFile or auth.jwt.jwks')
  return faults
}

function keyFaults({ keyFile, alg, jwks }: Given): string[] {
  if (jwks !== undefined) {
    const other = keyFile ?? alg
    if (other === undefined) return []
    return [`${other.where}: expected no key beside auth.jwt.jwks, whose keys say it themselves`]
  }
  if (keyFile === undefined) {
    return alg === undefined ? [] : [`${alg.where}: expected auth.jwt.keyFile beside it, found none`]
  }
  if (alg === undefined) return [`${keyFile.where}: expected auth.jwt.alg beside it, found none`]
  if (keyFile.value === undefined || alg.value === undefined) return []
  const read = readJwtKey(String(keyFile.value), alg.value as JwtAlgorithm)
  return 'fault' in read ? [`${keyFile.where}: ${read.fault}`] : []
}
