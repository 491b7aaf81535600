// Where the figures come from.
import { cpus, release, totalmem } from 'node:os'
import { isPinned } from './cpu.ts'

/** Lines of the report: what ran where. */
export function machineFacts(versions: readonly string[]): string[] {
  const models = cpus()
  return [
    `${models.length} × ${models[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
    versions.join(', '),
    isPinned
      ? 'The broker (and its database) on one CPU, the load generator on another'
      : 'Broker and load generator share the CPUs: latencies and shares say little',
  ]
}
