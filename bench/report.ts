// The tables, for the terminal and as docs/benchmarks.md.
import { brokerTitles } from './brokers/broker-name.ts'
import type { PeerResult, ResultRow, Section } from './results.ts'

export type Heading = Readonly<{
  date: string
  command: string
  rounds: number
  seconds: number
  facts: readonly string[]
  /** Empty: none. */
  remark: string
}>

/** What stands below this line of docs/benchmarks.md is written by hand and kept. */
export const handwritten = '<!-- From here on written by hand. -->'

export function toText(section: Section): string {
  const lines = [columns(section), ...section.rows.map(cells)]
  const widths = columns(section).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const padded = lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  )
  return `${section.scenario.name}\n${padded.map((line) => `  ${line.trimEnd()}\n`).join('')}`
}

/** `old` is the report so far. */
export function toMarkdown(sections: readonly Section[], heading: Heading, old: string): string {
  const from = old.indexOf(handwritten)
  return `${[
    '# Benchmarks',
    intro(heading),
    '## What was asked for',
    askedFor(sections),
    ...sections.flatMap((section) => [
      `## ${section.scenario.name}`,
      section.scenario.about,
      table([columns(section), ...section.rows.map(cells)]),
    ]),
    ...(from < 0 ? [] : [old.slice(from).trimEnd()]),
  ].join('\n\n')}\n`
}

function intro({ date, command, rounds, seconds, facts, remark }: Heading): string {
  const what = [
    ...(remark === '' ? [] : [`**${remark}**`]),
    `Written by \`${command}\` on ${date}: ${rounds} round(s), ClearBox and its peers in turns, ${seconds} s per steady measurement; the tables show medians, \`ratio\` the median of the rounds' ratios of ClearBox to that peer.`,
    ...facts.map((fact) => `${fact}.`),
    'All have password login on; ClearBox and Mosquitto have permissions, aedes the hook for them; ClearBox serves its metrics too. Mosquitto’s queues have no limit, ClearBox has its default limits; the rates of chat and HTTP requests per account are raised. Every broker process is fresh for each run.',
    'Only ClearBox writes to the disk before it acknowledges; Mosquitto and aedes keep all in memory, Prosody writes its files without waiting for the disk.',
    'CPU time is that of /proc: user and system time of the broker; that of ClearBox’s database apart unless “in all” is said. Every MQTT and XMPP message carries its number, and every arrival is checked.',
    'Trust the ratios, not the absolute figures: they depend on the machine.',
  ]
  return what.map((line) => `- ${line}`).join('\n')
}

/** One table of all rows with a target; the peer is the one that the target speaks of. */
function askedFor(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ scenario, rows }) =>
    rows
      .filter((row) => row.met !== null)
      .map((row) => {
        const [first] = row.peers
        const beside = first === undefined ? '–' : brokerTitles[first.name]
        return [`${scenario.name}: ${label(row)}`, figure(row.clearbox), beside, ...peerCells(first), ...verdict(row)]
      }),
  )
  return table([['', 'ClearBox', 'beside', '', 'ratio', 'target', 'met'], ...rows])
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (parts: readonly string[]): string => `| ${parts.join(' | ')} |`
  const rule = head.map((_, column) => (column === 0 || column === head.length - 1 ? '---' : '--:'))
  return [line(head), `|${rule.join('|')}|`, ...rows.map(line)].join('\n')
}

function columns({ scenario }: Section): string[] {
  return ['', 'ClearBox', ...scenario.peers.flatMap((name) => [brokerTitles[name], 'ratio']), 'target', 'met']
}

function cells(row: ResultRow): string[] {
  return [label(row), figure(row.clearbox), ...row.peers.flatMap(peerCells), ...verdict(row)]
}

function label({ label, unit }: ResultRow): string {
  return unit === '' ? label : `${label} (${unit})`
}

function peerCells(peer: PeerResult | undefined): string[] {
  return [figure(peer?.value ?? null), figure(peer?.ratio ?? null)]
}

function verdict({ target, met }: ResultRow): string[] {
  return [target, met === null ? '' : met ? 'yes' : 'NO']
}

function figure(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) >= 100 ? 0 : 2)
}
