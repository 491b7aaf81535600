// CPU time and memory of processes, from Linux' /proc.
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** proc(5): /proc/<pid>/stat. Times in microseconds; `reapedUs` is what waited-for children used. */
export type ProcessStat = Readonly<{ pid: number; parent: number; ownUs: number; reapedUs: number }>

const tickUs = 1e6 / Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout || 100)

/** Null: there is no such process any more. */
export function processStat(pid: number): ProcessStat | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The command's name may hold spaces; the fields after it may not. fields[0] is field 3 of the manual.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = (manual: number): number => Number(fields[manual - 3])
  return {
    pid,
    parent: ticks(4),
    ownUs: (ticks(14) + ticks(15)) * tickUs,
    reapedUs: (ticks(16) + ticks(17)) * tickUs,
  }
}

export function rssBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return pages * 4096
}

export function allProcesses(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processStat(Number(name)))
    .filter((stat) => stat !== null)
}

/** The process and its descendants, less the subtree of `without`. */
export function processTree(all: readonly ProcessStat[], root: number, without: number | null): ProcessStat[] {
  const tree = all.filter((stat) => stat.pid === root)
  for (const member of tree) {
    tree.push(...all.filter((stat) => stat.parent === member.pid && stat.pid !== without))
  }
  return tree
}

/** Time that all CPUs together have worked, for whomever, microseconds (proc(5): /proc/stat, without idle and iowait). */
export function machineBusyUs(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number)
  return (user + nice + system + irq + softirq + steal) * tickUs
}

/** The CPUs that this process may use, before it is pinned. */
function allowedCpus(): number[] {
  const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

const hasTaskset = spawnSync('taskset', ['--version']).status === 0
const [brokerCpu, generatorCpu] = allowedCpus()

/** One CPU for the broker with its database, another for the generator; false where there is only one, or no taskset. */
export const isPinned = hasTaskset && generatorCpu !== undefined

/** The command line that runs `command` on the broker's CPU. Its database inherits that. */
export function onBrokerCpu(command: string, args: readonly string[]): [string, string[]] {
  return isPinned ? ['taskset', ['-c', String(brokerCpu), command, ...args]] : [command, [...args]]
}

/** Keeps this process, with all its threads, on the CPU that the broker does not use. */
export function pinGenerator(): void {
  if (isPinned) execFileSync('taskset', ['-a', '-c', '-p', String(generatorCpu), String(process.pid)])
}
