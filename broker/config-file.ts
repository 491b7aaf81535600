// The YAML file: every fault with its line and column.
import { readFileSync } from 'node:fs'
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { z } from 'zod'
import type { Found } from './config-found.ts'
import { suggestion } from './config-suggestion.ts'
import { type SettingPath, settingAt, settingPaths } from './config-table.ts'
import { readSetting, type Source, settingFault } from './config-values.ts'

type Key = string | number
type OffsetOf = (path: readonly Key[], part: 'key' | 'value') => number
type Fault = Readonly<{ path: readonly Key[]; part: 'key' | 'value'; words: string }>

const maxFileBytes = 1024 * 1024

/** A file that is not there is no fault unless it is required. */
export function readConfigFile(file: string, isRequired: boolean): Source {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > maxFileBytes) return fault(`${file}: expected a file of at most 1 MiB`)
    return readConfigText(text, file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' && !isRequired) return { values: new Map(), faults: [], warnings: [] }
    return fault(`${file}: ${code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? String(error)})`}`)
  }
}

/** `file` is only a name for the faults. */
export function readConfigText(text: string, file: string): Source {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => `${file}:${lines.linePos(offset).line}:${lines.linePos(offset).col}`
  if (document.errors.length > 0) {
    return fault(...document.errors.map((error) => `${at(error.pos[0])} ${error.message}`))
  }
  let tree: unknown
  try {
    tree = document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    return fault(`${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const offset: OffsetOf = (path, part) => offsetOf(document, path, part)
  const faults = schemaFaults(tree)
    .map((found) => ({ ...found, offset: offset(found.path, found.part) }))
    .sort((a, b) => a.offset - b.offset)
    .map((found) => `${at(found.offset)} ${found.path.join('.')}`.trimEnd().concat(`: ${found.words}`))
  const where = (path: readonly Key[]) => `${at(offset(path, 'value'))} ${path.join('.')}`
  return { values: readValues(tree, where), faults, warnings: [] }
}

function fault(...faults: string[]): Source {
  return { values: new Map(), faults, warnings: [] }
}

type Section = { [name: string]: Section | z.ZodType }

/** Made from the table: sections nest as the paths do; everything may be left out, or left empty. */
const fileSchema = toSchema(
  settingPaths.reduce<Section>((root, path) => {
    const parts = path.split('.')
    const name = parts.pop() ?? path
    let section = root
    for (const part of parts) {
      section[part] ??= {}
      section = section[part] as Section
    }
    const { kind } = settingAt(path)
    const schema = kind.schema
    section[name] = z.preprocess((written) => kind.toRaw?.(written) ?? written, schema.nullish())
    return root
  }, {}),
)

function toSchema(section: Section): z.ZodObject {
  const shape = Object.entries(section).map(([name, inner]) => [
    name,
    inner instanceof z.ZodType ? inner : toSchema(inner).nullish(),
  ])
  return z.strictObject(Object.fromEntries(shape) as Record<string, z.ZodType>)
}

function schemaFaults(tree: unknown): Fault[] {
  const result = fileSchema.safeParse(tree)
  if (result.success) return []
  return result.error.issues.flatMap((issue): Fault[] => {
    const path = issue.path as Key[]
    const isInside = settingPaths.some((known) => path.join('.').startsWith(`${known}.`))
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => (isInside ? unknownInside(path, key) : unknownKey(path, key)))
    }
    const written = valueAt(tree, path)
    const setting = settingPaths.find((known) => known === path.join('.'))
    const words = setting
      ? settingFault(setting, written)
      : isInside
        ? issue.message
        : `expected a section, found ${JSON.stringify(written)}`
    return [{ path, part: 'value', words }]
  })
}

/** Within the value of a setting, such as a rule of a list. */
function unknownInside(path: readonly Key[], key: string): Fault {
  return { path: [...path, key], part: 'key', words: 'found an unknown key' }
}

function unknownKey(section: readonly Key[], key: string): Fault {
  const siblings = settingPaths.filter((path) => path.startsWith(section.map((part) => `${part}.`).join('')))
  const names = [...new Set(siblings.map((path) => path.split('.')[section.length] ?? path))]
  const elsewhere = settingPaths.filter((path) => path.split('.').at(-1) === key)
  const hint = suggestion(key, names) || (elsewhere.length > 0 ? ` (did you mean ${elsewhere.join(' or ')}?)` : '')
  const words = `expected one of ${names.join(', ')}, found an unknown key${hint}`
  return { path: [...section, key], part: 'key', words }
}

function readValues(tree: unknown, where: (path: readonly Key[]) => string): Map<SettingPath, Found> {
  const values = new Map<SettingPath, Found>()
  for (const path of settingPaths) {
    const parts = path.split('.')
    const written = valueAt(tree, parts)
    if (written === undefined || written === null) continue
    const read = readSetting(path, written)
    if ('value' in read) values.set(path, { value: read.value, where: where(parts) })
  }
  return values
}

function valueAt(tree: unknown, path: readonly Key[]): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === 'object' && node !== null && Object.hasOwn(node, key)
        ? (node as Record<Key, unknown>)[key]
        : undefined,
    tree,
  )
}

function offsetOf(document: Document, path: readonly Key[], part: 'key' | 'value'): number {
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents
  const last = path.at(-1)
  if (isSeq(parent)) return (parent.items[Number(last)] as Node | undefined)?.range?.[0] ?? 0
  const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && item.key.value === last) : undefined
  const node = part === 'key' ? pair?.key : (pair?.value ?? pair?.key)
  if (isNode(node) && node.range) return node.range[0]
  // Something that is missing: where it is missed.
  if (path.length > 1) return offsetOf(document, path.slice(0, -1), 'value')
  return isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0
}
