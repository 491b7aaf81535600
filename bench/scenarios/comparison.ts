// The same traffic twice against one process of the broker: as it is, and with something besides.
import type { RunningBroker } from '../brokers/broker.ts'
import { Crowd } from '../crowd.ts'
import { steady } from '../meter.ts'
import { connectPairs, type PairOptions } from './pairs.ts'
import { atMost, type Figures, faultRow, othersRow, type Row } from './scenario.ts'

export const plainPairs: PairOptions = { name: 'pairs', pairs: 50, qos: 0, window: 20 }

/** Rows of what `compare` finds; `limit` is how much dearer ClearBox may get. */
export function comparisonRows(plain: string, changed: string, limit: number): readonly Row[] {
  return [
    { figure: 'dearer', label: `CPU per delivered message, ${changed} / ${plain}`, unit: '×', target: atMost(limit) },
    { figure: 'plainUs', label: `broker CPU per delivered message, ${plain}`, unit: 'µs' },
    { figure: 'changedUs', label: `broker CPU per delivered message, ${changed}`, unit: 'µs' },
    { figure: 'plainRate', label: `delivered per second, ${plain}`, unit: '/s' },
    { figure: 'changedRate', label: `delivered per second, ${changed}`, unit: '/s' },
    othersRow,
    faultRow,
  ]
}

type Change = Readonly<{
  /** Of the second measurement. */
  options?: Partial<PairOptions>
  /** Before the second measurement, which it may accompany until `stop`. */
  begin?(crowd: Crowd): Promise<{ stop(): Promise<Figures> }>
}>

/** First a measurement that is thrown away, so that compilers and caches are warm for both that count. */
export async function compare(broker: RunningBroker, seconds: number, change: Change): Promise<Figures> {
  const crowd = new Crowd(broker)
  const plain = await connectPairs(crowd, plainPairs)
  const changed = await connectPairs(crowd, { ...plainPairs, name: 'changed', ...change.options })
  const measure = async (pairs: typeof plain): Promise<Record<string, number>> => {
    pairs.go()
    const figures = await steady(broker, seconds, pairs.delivered)
    await pairs.halt()
    return figures
  }
  await measure(changed)
  const before = await measure(plain)
  const accompaniment = await change.begin?.(crowd)
  const during = await measure(changed)
  const more = (await accompaniment?.stop()) ?? {}
  crowd.check()
  await crowd.leave()
  const costOf = ({ costUs = Number.NaN }: Record<string, number>): number => costUs
  return {
    dearer: costOf(during) / costOf(before),
    plainUs: costOf(before),
    changedUs: costOf(during),
    plainRate: before.rate ?? Number.NaN,
    changedRate: during.rate ?? Number.NaN,
    othersBusy: during.othersBusy ?? Number.NaN,
    faults: (plain.faults().faults ?? 0) + (changed.faults().faults ?? 0),
    ...more,
  }
}
