// What the command line may say.
import { parseArgs } from 'node:util'

export type BrokerName = 'clearbox' | 'mosquitto'

export type Options = Readonly<{
  rounds: number
  /** Length of each steady measurement. */
  seconds: number
  /** Names of scenarios; empty: all. */
  only: readonly string[]
  brokers: readonly BrokerName[]
  /** Path of the clearbox.js to run; null: the one of this folder. */
  program: string | null
  json: string | null
  write: boolean
}>

export const usage = `npm run bench -- [options]
  --rounds N        rounds, ClearBox and Mosquitto in turns; the table shows medians (3)
  --seconds N       length of each steady measurement (5)
  --only a,b        scenarios: p2p-qos0 p2p-qos1 fan-out paced offline idle
                    frozen-qos0 frozen-qos1 frozen-kept
  --broker NAME     clearbox or mosquitto alone; nothing is written then
  --program FILE    the bin/clearbox.js of another build
  --json FILE       all figures of all rounds, too
  --no-write        leave docs/benchmarks.md as it is`

/** @throws Error with a sentence for the user */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      broker: { type: 'string', default: '' },
      program: { type: 'string' },
      json: { type: 'string' },
      'no-write': { type: 'boolean', default: false },
    },
  })
  const only = values.only.split(',').filter((name) => name !== '')
  return {
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    only,
    brokers: values.broker === '' ? ['clearbox', 'mosquitto'] : [brokerName(values.broker)],
    program: values.program ?? null,
    json: values.json ?? null,
    write: !values['no-write'] && values.broker === '' && only.length === 0,
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} takes a number above 0, not "${text}"`)
  return value
}

function brokerName(text: string): BrokerName {
  if (text !== 'clearbox' && text !== 'mosquitto')
    throw new Error(`--broker takes clearbox or mosquitto, not "${text}"`)
  return text
}
