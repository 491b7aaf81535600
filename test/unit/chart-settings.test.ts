// The chart's schema, compose.yaml and the Dockerfile know the table of settings.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { acl } from '../../broker/config-acl.ts'
import * as kinds from '../../broker/config-kinds.ts'
import { type SettingPath, settingAt, settingPaths } from '../../broker/config-table.ts'
import { root } from '../helpers/process.ts'

const chart = join(root, 'helm/clearbox')

/** What the chart decides by itself, or keeps in Secrets; ports belong to its listeners. Redis is not used yet. */
const chartsOwn: readonly SettingPath[] = [
  'dataDir',
  'bind',
  'database.url',
  'database.binDir',
  'redis.url',
  'admin.password',
  'auth.jwtSecret',
  'links',
  'listeners',
  'tls.cert',
  'tls.key',
  ...settingPaths.filter((path) => settingAt(path).kind === kinds.port),
]
const given = settingPaths.filter((path) => !chartsOwn.includes(path))
const names = settingPaths.map((path) => settingAt(path).env)

test('values.schema.json has the settings of the table (vitest -u writes them anew)', async () => {
  const file = join(chart, 'values.schema.json')
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { properties: Record<string, unknown> }
  schema.properties.settings = toSchema(given)
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(file)
})

test('no secret can be given as a setting, because those go into a ConfigMap', () => {
  expect(given.filter((path) => settingAt(path).kind.secret || /password|secret|url|token/i.test(path))).toEqual([])
})

test('every port of the table is a listener of the chart, with the default port where it has one', () => {
  const helpers = readFileSync(join(chart, 'templates/_helpers.tpl'), 'utf8')
  const lines = [...helpers.matchAll(/^\w+: \{ port: (\d+), section: (\w+), key: (\w+) \}$/gm)]
  const listeners = lines.map(([, port, section, key]) => [`${section}.${key}`, Number(port)] as const)
  const ports = settingPaths.filter((path) => settingAt(path).kind === kinds.port)
  expect(listeners.map(([path]) => path).sort()).toEqual([...ports].sort())
  for (const [path, port] of listeners) expect([port, 'off']).toContain(settingAt(path as SettingPath).default)
})

test('the environment that chart, image and compose.yaml set is that of the table', () => {
  for (const file of ['helm/clearbox/templates/_pod.tpl', 'Dockerfile', 'compose.yaml']) {
    const used = readFileSync(join(root, file), 'utf8').match(/\bCLEARBOX_[A-Z_]+\b/g) ?? []
    expect(used.length, file).toBeGreaterThan(1)
    expect(
      used.filter((name) => !names.includes(name)),
      file,
    ).toEqual([])
  }
})

test('chart, appVersion and package have one version', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const about = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')) as Record<string, unknown>
  expect(about).toMatchObject({ version, appVersion: version })
})

type Schema = { [key: string]: unknown; properties?: Record<string, Schema> }

/** Sections nest as the paths do. */
function toSchema(paths: readonly SettingPath[]): Schema {
  const section = (): Schema => ({ type: 'object', additionalProperties: false, properties: {} })
  const top = { ...section(), required: ['domain'] }
  for (const path of paths) {
    const sections = path.split('.')
    const name = sections.pop() ?? path
    let inner: Schema = top
    for (const each of sections) {
      inner.properties ??= {}
      inner = inner.properties[each] ??= section()
    }
    Object.assign(inner.properties ?? {}, { [name]: valueSchema(path) })
  }
  return top
}

function valueSchema(path: SettingPath): Schema {
  const { kind, doc } = settingAt(path)
  const strings = { type: 'array', items: { type: 'string' } }
  if (Array.isArray(settingAt(path).default) && kind !== acl)
    return { description: doc, anyOf: [{ type: 'string' }, strings] }
  const { $schema: _, ...schema } = z.toJSONSchema(kind.schema, { unrepresentable: 'any' }) as Schema
  if (kind === acl) return { description: doc, ...schema, items: oneOrMore(schema.items as Schema) }
  const alternatives = schema.anyOf as Schema[] | undefined
  if (alternatives?.some((one) => one.const === 'off')) {
    return { description: doc, anyOf: [...alternatives, { const: false }] }
  }
  // Helm reads an unquoted `off` as false, as YAML 1.1 has it; so does a setting.
  if (Array.isArray(schema.enum) && schema.enum.includes('off')) {
    return { description: doc, enum: [...(schema.enum as string[]), false] }
  }
  return { description: doc, ...schema }
}

/** Where a rule has a list of texts, one text does. */
function oneOrMore(rule: Schema): Schema {
  const properties = Object.entries(rule.properties ?? {}).map(([name, schema]): [string, Schema] =>
    schema.type === 'array' ? [name, { anyOf: [schema.items, schema] }] : [name, schema],
  )
  return { ...rule, properties: Object.fromEntries(properties) }
}
