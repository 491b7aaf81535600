// Who may import whom (docs/architecture.md, rooms).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cruise, type ICruiseResult, type IRegularForbiddenRuleType } from 'dependency-cruiser'
import { beforeAll, expect, it } from 'vitest'
import { root } from './helpers/process.ts'

const rooms = ['broker', 'adapters', 'bridge', 'storage', 'cli']

/** What the other rooms see of the broker: words, contracts, and functions without state. */
const pure =
  '(account-name|auth/sasl-fault|auth/scram-exchange|auth/utf8|config|contacts|errors|happening|limits|listener|log|message|metrics|network|pressure|stores|topic|types)'

type Never = readonly [name: string, from: IRegularForbiddenRuleType['from'], to: IRegularForbiddenRuleType['to']]
const never: readonly Never[] = [
  // Types may name each other; nothing that runs may.
  ['cycle', {}, { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } }],
  [
    'words import only words',
    { path: '^broker/(types|errors|stores)\\.ts$' },
    { pathNot: '^broker/(types|errors)\\.ts$' },
  ],
  [
    'rooms see pure files only',
    { path: '^(storage|adapters|bridge)/' },
    { path: '^broker/', pathNot: `^broker/${pure}\\.ts$` },
  ],
  [
    'rooms do not see each other',
    { path: '^(storage|adapters|bridge)/' },
    { path: '^(storage|adapters|bridge|cli)/', pathNot: '^$1/' },
  ],
  [
    'only main.ts knows the rooms',
    { path: '^broker/', pathNot: '^broker/main\\.ts$' },
    { path: '^(storage|adapters|bridge|cli)/' },
  ],
  ['features do not see each other', { path: '/features/(?!index)' }, { path: '/features/' }],
  ['routes do not see each other', { path: '^bridge/routes/(?!index)' }, { path: '^bridge/routes/' }],
  ['unknown module', {}, { couldNotResolve: true }],
]

let graph: ICruiseResult
beforeAll(async () => {
  const forbidden = never.map(([name, from, to]): IRegularForbiddenRuleType => ({ name, severity: 'error', from, to }))
  const { output } = await cruise(rooms, {
    baseDir: root,
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    validate: true,
    ruleSet: { forbidden },
  })
  graph = output as ICruiseResult
})

it('looks at the whole house', () => {
  const own = graph.modules.filter(({ source }) => rooms.some((room) => source.startsWith(`${room}/`)))
  expect(own.length).toBeGreaterThan(100)
})

it('every import goes downhill', () => {
  expect(graph.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([])
})

it('no file only exports what others make', () => {
  const own = graph.modules.filter(({ source }) => /^\w+\/.*\.ts$/.test(source) && !source.includes('node_modules'))
  const only = /^(\s*|\/\/.*|export .* from .*)$/
  const barrels = own.filter(({ source }) =>
    readFileSync(join(root, source), 'utf8')
      .split('\n')
      .every((line) => only.test(line)),
  )
  expect(barrels.map(({ source }) => source)).toEqual([])
})
