// Connect first; only then start. A database that outlived its broker is taken over as it is.
import type { ChildProcess } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { StoreStartError } from '../start-error.ts'
import { attach } from './attach.ts'
import { findBinaries } from './binaries.ts'
import { prepareCluster } from './cluster.ts'
import { type Folders, socketFolder } from './folders.ts'
import { disownStaleLocks, isClaimed, readClaim, startPostmaster } from './postmaster.ts'

export type Reached = Readonly<{ client: Client; socketFolder: string }>

type Started = Readonly<{ child: ChildProcess; logOffset: number; ended: () => boolean }>

/** Between two tries, growing with the time waited: each is a line in the log of a server that recovers. */
const MIN_POLL_MS = 10
const MAX_POLL_MS = 200
/** Recovery after a crash may take a while; a server that says so is waited for. */
const SILENT_TIMEOUT_MS = 60_000
const BUSY_TIMEOUT_MS = 10 * 60_000
const MAX_FAILED_STARTS = 4

/** Answers a connection to the cluster's server, which is made and started if need be. @throws StoreStartError */
export async function reach(folders: Folders, binDir: string | null): Promise<Reached> {
  const began = Date.now()
  let started: Started | null = null
  let failures = 0
  for (;;) {
    const folder = (await readClaim(folders.cluster))?.socketFolder ?? null
    const attached = folder === null ? 'absent' : await attach(folder)
    if (attached instanceof Client && folder !== null) return { client: attached, socketFolder: folder }
    const waitedMs = Date.now() - began
    if (waitedMs > (attached === 'busy' ? BUSY_TIMEOUT_MS : SILENT_TIMEOUT_MS)) {
      throw new StoreStartError(`The database in ${folders.cluster} runs but does not answer; see ${folders.log}.`)
    }
    if (started?.ended()) {
      failures += 1
      if (failures === MAX_FAILED_STARTS) throw await startFault(folders, started)
      started = null
      await pause(100 * failures)
    } else if (attached === 'absent' && started === null && !(await isClaimed(folders.cluster))) {
      started = await start(folders, binDir)
    }
    await pause(Math.min(Math.max(waitedMs / 8, MIN_POLL_MS), MAX_POLL_MS))
  }
}

async function start(folders: Folders, binDir: string | null): Promise<Started> {
  const binaries = await findBinaries(binDir)
  const as = await prepareCluster(folders.cluster, binaries)
  const socket = await socketFolder(folders.cluster, as)
  await disownStaleLocks(folders.cluster, socket)
  const logOffset = await stat(folders.log).then(
    (found) => found.size,
    () => 0,
  )
  const child = await startPostmaster(folders, socket, binaries, as)
  let ended = false
  child.once('error', () => {
    ended = true
  })
  child.once('exit', () => {
    ended = true
  })
  return { child, logOffset, ended: () => ended }
}

async function startFault(folders: Folders, { logOffset }: Started): Promise<StoreStartError> {
  const text = await readFile(folders.log).catch(() => Buffer.alloc(0))
  const said = text.subarray(logOffset).toString().trim()
  return new StoreStartError(`The database in ${folders.cluster} does not start:\n${said.slice(-2_000)}`)
}
