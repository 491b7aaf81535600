// What the command line may say.
import { parseArgs } from 'node:util'
import { type BrokerName, brokerTitles, isBrokerName } from './brokers/broker-name.ts'
import { scenarios } from './scenarios/all.ts'

export type Options = Readonly<{
  rounds: number
  /** Length of each steady measurement. */
  seconds: number
  /** Names of scenarios; empty: all. */
  only: readonly string[]
  /** The only one to measure; null: ClearBox and each scenario's peers. */
  broker: BrokerName | null
  /** Path of the clearbox.js to run; null: the one of this folder. */
  program: string | null
  /** Folder for a .cpuprofile of every run of ClearBox; null: none. */
  profile: string | null
  json: string | null
  /** A sentence for the report; empty: none. */
  remark: string
  write: boolean
}>

export const usage = `npm run bench -- [options]
  --rounds N        rounds, ClearBox and its peers in turns; the table shows medians (3)
  --seconds N       length of each steady measurement (5)
  --only a,b        scenarios: ${wrap(scenarios.map(({ name }) => name))}
  --broker NAME     this one alone, nothing is written then: ${wrap(Object.keys(brokerTitles))}
  --program FILE    the bin/clearbox.js of another build
  --profile FOLDER  a .cpuprofile of every process of ClearBox; what it costs is in the figures
  --json FILE       all figures of all rounds, too
  --remark TEXT     a sentence for the report, such as what else ran on the machine
  --no-write        leave docs/benchmarks.md as it is`

function wrap(names: readonly string[]): string {
  const lines: string[] = ['']
  for (const name of names) {
    const line = lines.at(-1) ?? ''
    if (line.length + name.length > 60) lines.push(name)
    else lines[lines.length - 1] = `${line} ${name}`.trim()
  }
  return lines.map((line) => `\n                    ${line}`).join('')
}

/** @throws Error with a sentence for the user */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      broker: { type: 'string' },
      program: { type: 'string' },
      profile: { type: 'string' },
      json: { type: 'string' },
      remark: { type: 'string', default: '' },
      'no-write': { type: 'boolean', default: false },
    },
  })
  const only = values.only.split(',').filter((name) => name !== '')
  return {
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    only,
    broker: values.broker === undefined ? null : brokerName(values.broker),
    program: values.program ?? null,
    profile: values.profile ?? null,
    json: values.json ?? null,
    remark: values.remark,
    write: !values['no-write'] && values.broker === undefined && values.profile === undefined && only.length === 0,
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} takes a number above 0, not "${text}"`)
  return value
}

function brokerName(text: string): BrokerName {
  if (!isBrokerName(text)) throw new Error(`--broker does not know "${text}"`)
  return text
}
