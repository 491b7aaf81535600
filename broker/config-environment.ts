// The CLEARBOX_* variables of the environment.

import type { Found } from './config-found.ts'
import { suggestion } from './config-suggestion.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import { readSetting, type Source } from './config-values.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const prefix = 'CLEARBOX_'

// What Kubernetes sets for every Service whose name begins with "clearbox".
const serviceLink = /_SERVICE_(HOST|PORT)(_.*)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/
const serviceUrl = /^(tcp|udp|sctp):\/\//
const serviceAdvice = 'set enableServiceLinks: false in the pod'

/** An empty value counts as unset. */
export function readEnvironment(environment: Environment): Source {
  const given = Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const ours = new Map(given.filter(([name]) => name.startsWith(prefix)))
  const values = new Map<SettingPath, Found>()
  const faults: string[] = []
  for (const path of settingPaths) {
    const { env } = settingAt(path)
    const written = ours.get(env)
    ours.delete(env)
    if (written === undefined) continue
    const read = readSetting(path, written)
    if ('value' in read) values.set(path, { value: read.value, where: env })
    else faults.push(`${env}: ${read.fault}${serviceUrl.test(written) ? serviceHint(env) : ''}`)
  }
  return { values, faults, warnings: warningsFor(ours) }
}

function serviceHint(env: string): string {
  const service = env
    .replace(/_PORT$/, '')
    .toLowerCase()
    .replaceAll('_', '-')
  return `; Kubernetes sets this for a Service named ${service}: rename the Service or ${serviceAdvice}`
}

function warningsFor(unknown: ReadonlyMap<string, string>): string[] {
  const names = [...unknown].map(([name, value]) => ({
    name,
    isServiceLink: serviceLink.test(name) || serviceUrl.test(value),
  }))
  const links = names.filter((entry) => entry.isServiceLink).map((entry) => entry.name)
  const known = settingPaths.map((path) => settingAt(path).env)
  const warnings = names
    .filter((entry) => !entry.isServiceLink)
    .map(({ name }) => `${name}: no such setting, ignored${suggestion(name, known, prefix)}`)
  if (links.length > 0) {
    const more = links.length > 1 ? ` and ${links.length - 1} more` : ''
    warnings.push(`${links[0]}${more}: set by Kubernetes for a Service, ignored; to be rid of it ${serviceAdvice}`)
  }
  return warnings
}
