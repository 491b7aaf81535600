import { expect, it } from 'vitest'
import { handwritten, toMarkdown } from '../../bench/report.ts'
import { type Run, toSections } from '../../bench/results.ts'
import type { Scenario } from '../../bench/scenarios/scenario.ts'

const scenario: Scenario = {
  name: 'sums',
  about: 'Sums are made.',
  rows: [{ figure: 'costUs', label: 'cost', unit: 'µs', target: { of: 'ratio', limit: 0.5 } }],
  peers: ['mosquitto', 'aedes'],
  run: () => Promise.resolve({}),
}
const heading = { date: '2026-11-24', command: 'bench', rounds: 3, seconds: 5, facts: ['2 CPUs'], remark: '' }

const run = (round: number, broker: Run['broker'], costUs: number): Run => ({
  round,
  scenario: 'sums',
  broker,
  figures: { costUs },
})

const rounds = (ours: number, mosquitto: number, aedes: number): Run[] =>
  [1, 2, 3].flatMap((round) => [
    run(round, 'clearbox', ours * round),
    run(round, 'mosquitto', mosquitto * round),
    run(round, 'aedes', aedes * round),
  ])

it('judges a ratio by the first peer, as the median of the ratios of each round', () => {
  const slow = [run(4, 'clearbox', 100), run(4, 'mosquitto', 100), run(5, 'clearbox', 1), run(5, 'mosquitto', 100)]
  const [section] = toSections([scenario], [...rounds(4, 10, 2), ...slow])
  expect(section?.rows[0]?.peers.map(({ name, ratio }) => [name, ratio])).toEqual([
    ['mosquitto', 0.4],
    ['aedes', 2],
  ])
  expect(section?.rows[0]?.met).toBe(true)
  expect(toSections([scenario], rounds(6, 10, 20))[0]?.rows[0]?.met).toBe(false)
})

it('leaves a peer without figures open, and says nothing of a target that it alone decides', () => {
  const [row] = toSections([scenario], [run(1, 'clearbox', 4)])[0]?.rows ?? []
  expect(row).toMatchObject({ clearbox: 4, met: null, peers: [{ value: null, ratio: null }, { value: null }] })
})

it('keeps what stands by hand below the tables of the report', () => {
  const sections = toSections([scenario], rounds(4, 10, 2))
  const first = toMarkdown(sections, heading, 'An older report without notes.')
  expect(first).toContain('| cost (µs) | 8 | 20 | 0.40 | 4 | 2 | ratio ≤ 0.5 | yes |')
  expect(first).not.toContain('older')
  const noted = `${first}\n${handwritten}\n\n## Notes\n\nWhy it is so.\n`
  expect(toMarkdown(sections, heading, noted)).toBe(noted)
})
