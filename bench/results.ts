// Figures of all rounds → one row per line of the report.
import type { BrokerName, PeerName } from './brokers/broker-name.ts'
import type { Figures, Row, Scenario } from './scenarios/scenario.ts'

/** One run of a scenario against a broker. */
export type Run = Readonly<{ round: number; scenario: string; broker: BrokerName; figures: Figures }>

/** Null: not measured. `ratio`: ClearBox's value to the peer's, median of the rounds' ratios. */
export type PeerResult = Readonly<{ name: PeerName; value: number | null; ratio: number | null }>

/** `met` null: nothing was asked for. */
export type ResultRow = Readonly<{
  label: string
  unit: string
  clearbox: number | null
  /** In the order of the scenario's peers. */
  peers: readonly PeerResult[]
  target: string
  met: boolean | null
}>

export type Section = Readonly<{ scenario: Scenario; rows: readonly ResultRow[] }>

export function toSections(scenarios: readonly Scenario[], runs: readonly Run[]): Section[] {
  return scenarios.map((scenario) => {
    const own = runs.filter((run) => run.scenario === scenario.name)
    return { scenario, rows: scenario.rows.map((row) => toResultRow(row, scenario.peers, own)) }
  })
}

function toResultRow(row: Row, peers: readonly PeerName[], runs: readonly Run[]): ResultRow {
  const ours = valuesOf(row, runs, 'clearbox')
  const clearbox = median([...ours.values()])
  const beside = peers.map((name) => toPeerResult(name, ours, valuesOf(row, runs, name)))
  const judged = row.target?.of === 'ratio' ? (beside[0]?.ratio ?? null) : clearbox
  return {
    label: row.label,
    unit: row.unit,
    clearbox,
    peers: beside,
    target: row.target === undefined ? '' : `${row.target.of === 'ratio' ? 'ratio ' : ''}≤ ${row.target.limit}`,
    met: row.target === undefined || judged === null ? null : judged <= row.target.limit,
  }
}

function toPeerResult(name: PeerName, ours: Map<number, number>, theirs: Map<number, number>): PeerResult {
  const rounds = [...ours.keys()].filter((round) => theirs.has(round))
  const ratios = rounds.map((round) => (ours.get(round) ?? 0) / (theirs.get(round) ?? 0))
  return { name, value: median([...theirs.values()]), ratio: median(ratios.filter(Number.isFinite)) }
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
