// What the configuration is: checked, shown, or all of it with its defaults.
import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import type { Config } from '../broker/config.ts'
import { type SettingPath, settingAt, settingPaths } from '../broker/config-table.ts'
import type { ReadConfig } from './read-config.ts'

/** `readConfig` has refused what is wrong; this is what is left to say. */
export function checkConfig({ warnings }: ReadConfig): void {
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  process.stdout.write('The configuration is good.\n')
}

export function showConfig({ config, warnings }: ReadConfig): void {
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  process.stdout.write(toYaml('What is in force, from the defaults, the file and the environment.', valueIn(config)))
}

export function showDefaults(): void {
  const title = 'Every setting with its default. A file needs only those that differ; the environment wins over it.'
  process.stdout.write(toYaml(title, (path) => settingAt(path).default))
}

const hidden = Symbol('hidden')

function valueIn(config: Config): (path: SettingPath) => unknown {
  return (path) => {
    const value = path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config)
    const { kind, default: unset } = settingAt(path)
    return kind.secret && !isDeepStrictEqual(value, unset) ? hidden : value
  }
}

/** In the order of the table, sections together. Nothing stands for what is not set. */
function toYaml(title: string, valueAt: (path: SettingPath) => unknown): string {
  const lines = [`# ${title}`]
  let open: readonly string[] = []
  for (const path of bySection()) {
    const sections = path.split('.')
    const key = sections.pop() ?? path
    const opened = sections.map((name, depth) => `${'  '.repeat(depth)}${name}:`).filter((line) => !open.includes(line))
    if (sections.length === 0 || opened.length > 0) lines.push('', ...opened)
    open = [...open, ...opened]
    const indent = '  '.repeat(sections.length)
    const { doc, env, kind } = settingAt(path)
    lines.push(...[doc, `${kind.name}; ${env}`].map((text) => `${indent}# ${text}`))
    lines.push(indent + toLine(key, valueAt(path)))
  }
  return `${lines.join('\n')}\n`
}

function bySection(): readonly SettingPath[] {
  const sections = new Map<string, SettingPath[]>()
  for (const path of settingPaths) {
    const key = path.includes('.') ? (path.split('.')[0] ?? '') : ''
    sections.set(key, [...(sections.get(key) ?? []), path])
  }
  const { '': top = [], ...rest } = Object.fromEntries(sections)
  return [...top, ...Object.values(rest).flat()]
}

function toLine(key: string, value: unknown): string {
  if (value === hidden) return `# ${key}: is set, and not shown`
  if (value === null) return `${key}:`
  if (typeof value === 'boolean') return `${key}: ${value ? 'on' : 'off'}`
  return `${key}: ${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`
}
