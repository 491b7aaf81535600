// What a stretch of a run cost: broker, its database, the generator; and how much the machine did besides.
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningBroker } from './brokers/broker.ts'
import { machineBusyUs } from './cpu.ts'

export type Usage = Readonly<{
  seconds: number
  brokerUs: number
  databaseUs: number
  generatorUs: number
  othersUs: number
}>

/** Starts measuring; the function it returns ends the stretch. */
export function startMeter(broker: RunningBroker): () => Usage {
  const cpu = broker.cpu()
  const own = process.cpuUsage()
  const machine = machineBusyUs()
  const startedAt = performance.now()
  return () => {
    const seconds = (performance.now() - startedAt) / 1000
    const ownNow = process.cpuUsage(own)
    const now = broker.cpu()
    const brokerUs = now.brokerUs - cpu.brokerUs
    const databaseUs = now.databaseUs - cpu.databaseUs
    const generatorUs = ownNow.user + ownNow.system
    const othersUs = Math.max(0, machineBusyUs() - machine - brokerUs - databaseUs - generatorUs)
    return { seconds, brokerUs, databaseUs, generatorUs, othersUs }
  }
}

/** The figures that every stretch has in common; `count` is the messages delivered in it. */
export function costs(usage: Usage, count: number): Record<string, number> {
  return {
    rate: count / usage.seconds,
    costUs: (usage.brokerUs + usage.databaseUs) / count,
    brokerUs: usage.brokerUs / count,
    databaseUs: usage.databaseUs / count,
    generatorUs: usage.generatorUs / count,
    brokerBusy: usage.brokerUs / usage.seconds / 1e4,
    generatorBusy: usage.generatorUs / usage.seconds / 1e4,
    othersBusy: othersBusy(usage),
  }
}

export function othersBusy(usage: Usage): number {
  return usage.othersUs / usage.seconds / 1e4
}

/** Messages flow already: lets compilers and caches warm up, then measures for `seconds`. */
export async function steady(
  broker: RunningBroker,
  seconds: number,
  delivered: () => number,
): Promise<Record<string, number>> {
  await warmUp(broker, Math.min(1, seconds / 2))
  const stop = startMeter(broker)
  const before = delivered()
  await sleep(seconds * 1000)
  const count = delivered() - before
  return costs(stop(), count)
}

/** Until the broker has worked for `seconds` of CPU time, at most five times as long: others may have its CPU. */
async function warmUp(broker: RunningBroker, seconds: number): Promise<void> {
  const stepMs = 50
  const before = broker.cpu().brokerUs
  for (let step = 0; step * stepMs < seconds * 5000; step++) {
    await sleep(stepMs)
    if (broker.cpu().brokerUs - before >= seconds * 1e6) return
  }
}

/** Waits until broker and database do next to nothing, at most 8 s: what is written behind is written then. */
export async function untilQuiet(broker: RunningBroker): Promise<void> {
  const stepMs = 250
  for (let step = 0, quiet = 0; step < 32 && quiet < 4; step++) {
    const before = broker.cpu()
    await sleep(stepMs)
    const now = broker.cpu()
    const busyUs = now.brokerUs + now.databaseUs - before.brokerUs - before.databaseUs
    quiet = busyUs < stepMs * 1000 * 0.05 ? quiet + 1 : 0
  }
}
