// What a scenario is: something to run against a broker, and the rows that its figures fill.
import type { RunningBroker } from '../brokers/broker.ts'
import type { PeerName } from '../brokers/broker-name.ts'
import type { Faults } from '../ledger.ts'

export type Figures = Readonly<Record<string, number>>

/** What ClearBox must reach: at most `limit`, as the ratio to the scenario's first peer in the same run or as the value itself. */
export type Target = Readonly<{ of: 'ratio' | 'value'; limit: number }>

export type Row = Readonly<{ figure: string; label: string; unit: string; target?: Target }>

export type Scenario = Readonly<{
  name: string
  /** One sentence or two for the report. */
  about: string
  rows: readonly Row[]
  /** Whom ClearBox is measured beside. */
  peers: readonly PeerName[]
  run(broker: RunningBroker, seconds: number): Promise<Figures>
}>

export const mqttPeers: readonly PeerName[] = ['mosquitto', 'aedes']

export const atMost = (limit: number): Target => ({ of: 'value', limit })
export const atMostTimes = (limit: number): Target => ({ of: 'ratio', limit })

/** What is judged: the broker and, where it has one, its database. */
export const brokerCost = (target?: Target): Row => ({
  figure: 'costUs',
  label: 'CPU per delivered message, broker and database in all',
  unit: 'µs',
  ...(target === undefined ? {} : { target }),
})

export const othersRow: Row = {
  figure: 'othersBusy',
  label: 'everything else on the machine, share of one CPU',
  unit: '%',
}

/** The rows of every steady stretch, behind the broker's cost. */
export const steadyRows: readonly Row[] = [
  { figure: 'brokerUs', label: 'broker CPU per delivered message', unit: 'µs' },
  { figure: 'databaseUs', label: 'database CPU per delivered message', unit: 'µs' },
  { figure: 'generatorUs', label: 'generator CPU per delivered message', unit: 'µs' },
  { figure: 'rate', label: 'delivered per second', unit: '/s' },
  { figure: 'brokerBusy', label: 'broker, share of its CPU', unit: '%' },
  { figure: 'generatorBusy', label: 'generator, share of its CPU', unit: '%' },
  othersRow,
]

/** One row for all that must not happen. */
export const faultRow: Row = {
  figure: 'faults',
  label: 'lost + repeated + out of order',
  unit: '',
  target: { of: 'value', limit: 0 },
}

export function faultFigure({ lost, repeated, disordered }: Faults, wrongAcks = 0): Figures {
  return { faults: lost + repeated + disordered + wrongAcks }
}
