// The table, for the terminal and as docs/benchmarks.md.
import type { ResultRow, Section } from './results.ts'

export type Heading = Readonly<{
  date: string
  command: string
  rounds: number
  seconds: number
  facts: readonly string[]
}>

const columns = ['', 'ClearBox', 'Mosquitto', 'ratio', 'target', 'met'] as const

export function toText(section: Section): string {
  const lines = [columns, ...section.rows.map(cells)]
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const padded = lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  )
  return `${section.scenario.name}\n${padded.map((line) => `  ${line.trimEnd()}\n`).join('')}`
}

export function toMarkdown(sections: readonly Section[], heading: Heading): string {
  const judged = sections.flatMap(({ scenario, rows }) =>
    rows.filter((row) => row.met !== null).map((row) => ({ ...row, label: `${scenario.name}: ${row.label}` })),
  )
  return `${[
    '# Benchmarks',
    intro(heading),
    '## What was asked for',
    table(judged),
    ...sections.flatMap(({ scenario, rows }) => [`## ${scenario.name}`, scenario.about, table(rows)]),
    '',
  ]
    .join('\n\n')
    .trimEnd()}\n`
}

function intro({ date, command, rounds, seconds, facts }: Heading): string {
  const what = [
    `Written by \`${command}\` on ${date}: ${rounds} round(s), ClearBox and Mosquitto in turns, ${seconds} s per steady measurement; the table shows medians, \`ratio\` the median of the rounds' ratios.`,
    ...facts.map((fact) => `${fact}.`),
    'Both brokers have password login and permissions on; ClearBox serves its metrics too. Mosquitto’s queues have no limit, ClearBox has its default limits. Every broker process is fresh for each run.',
    'CPU time is that of /proc: user and system time of the broker; that of ClearBox’s database apart. Every message carries its number, and every arrival is checked.',
    'Trust the ratios, not the absolute figures: they depend on the machine.',
  ]
  return what.map((line) => `- ${line}`).join('\n')
}

function table(rows: readonly ResultRow[]): string {
  const line = (parts: readonly string[]): string => `| ${parts.join(' | ')} |`
  return [line(columns), '|---|--:|--:|--:|--:|---|', ...rows.map((row) => line(cells(row)))].join('\n')
}

function cells(row: ResultRow): string[] {
  const met = row.met === null ? '' : row.met ? 'yes' : 'NO'
  const unit = row.unit === '' ? '' : ` (${row.unit})`
  return [`${row.label}${unit}`, figure(row.clearbox), figure(row.mosquitto), figure(row.ratio), row.target, met]
}

function figure(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) >= 100 ? 0 : 2)
}
