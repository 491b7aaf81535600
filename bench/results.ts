// Figures of all rounds → one row per line of the report.
import type { BrokerName } from './options.ts'
import type { Figures, Row, Scenario } from './scenarios/scenario.ts'

/** One run of a scenario against a broker. */
export type Run = Readonly<{ round: number; scenario: string; broker: BrokerName; figures: Figures }>

/** Null: not measured. `met` null: nothing was asked for. */
export type ResultRow = Readonly<{
  label: string
  unit: string
  clearbox: number | null
  mosquitto: number | null
  ratio: number | null
  target: string
  met: boolean | null
}>

export type Section = Readonly<{ scenario: Scenario; rows: readonly ResultRow[] }>

export function toSections(scenarios: readonly Scenario[], runs: readonly Run[]): Section[] {
  return scenarios.map((scenario) => {
    const own = runs.filter((run) => run.scenario === scenario.name)
    return { scenario, rows: scenario.rows.map((row) => toResultRow(row, own)) }
  })
}

function toResultRow(row: Row, runs: readonly Run[]): ResultRow {
  const ours = valuesOf(row, runs, 'clearbox')
  const theirs = valuesOf(row, runs, 'mosquitto')
  const rounds = [...ours.keys()].filter((round) => theirs.has(round))
  const ratios = rounds.map((round) => (ours.get(round) ?? 0) / (theirs.get(round) ?? 0))
  const clearbox = median([...ours.values()])
  const ratio = median(ratios.filter(Number.isFinite))
  const judged = row.target?.of === 'ratio' ? ratio : clearbox
  return {
    label: row.label,
    unit: row.unit,
    clearbox,
    mosquitto: median([...theirs.values()]),
    ratio,
    target: row.target === undefined ? '' : `${row.target.of === 'ratio' ? 'ratio ' : ''}≤ ${row.target.limit}`,
    met: row.target === undefined || judged === null ? null : judged <= row.target.limit,
  }
}

function valuesOf(row: Row, runs: readonly Run[], broker: BrokerName): Map<number, number> {
  const own = runs.filter((run) => run.broker === broker)
  return new Map(own.map((run) => [run.round, run.figures[row.figure] ?? Number.NaN]))
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length === 0) return null
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return ((low ?? 0) + (high ?? 0)) / 2
}
