// Who uses a data folder: advisory locks on a connection that is kept for them. They end with the connection.
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from 'pg'

const BROKER = '7205759, 1'
const TOOLS = '7205759, 2'
/** A predecessor that was killed holds its lock until its server process has noticed. */
const PATIENCE_MS = 3_000

/** The one broker of a data folder. False: another one has it. */
export async function lockBroker(client: Client): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await holds(client, `pg_try_advisory_lock(${BROKER})`))) {
    if (Date.now() > deadline) return false
    await pause(50)
  }
  return true
}

/** Tools share. False: the server is about to be stopped. */
export function lockTool(client: Client): Promise<boolean> {
  return holds(client, `pg_try_advisory_lock_shared(${TOOLS})`)
}

/** Whether this tool is the last user: then it holds the broker's lock, and may stop the server. */
export async function lockLast(client: Client): Promise<boolean> {
  await client.query(`SELECT pg_advisory_unlock_shared(${TOOLS})`)
  if (!(await holds(client, `pg_try_advisory_lock(${TOOLS})`))) return false
  if (await holds(client, `pg_try_advisory_lock(${BROKER})`)) return true
  await client.query(`SELECT pg_advisory_unlock(${TOOLS})`)
  return false
}

async function holds(client: Client, call: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(`SELECT ${call} AS held`)
  return rows[0]?.held === true
}
