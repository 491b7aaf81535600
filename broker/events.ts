// What happened, told once: one call is the metric, the line of the log and the row of the audit trail.
import type { Action, Events, Happening } from './happening.ts'
import type { Logger } from './log.ts'
import type { Counters } from './metrics.ts'
import type { AuditRow } from './stores.ts'
import { createUuid } from './uuid.ts'

type Entry = Readonly<{ level: 'debug' | 'info' | 'warn'; sentence: string; counter?: keyof Counters }>

const table = {
  'login.succeeded': { level: 'debug', sentence: 'a login succeeded', counter: 'loginSuccesses' },
  'login.failed': { level: 'info', sentence: 'a login failed', counter: 'loginFailures' },
  'login.held': { level: 'warn', sentence: 'after failed logins the next try must wait', counter: 'loginHolds' },
  'login.ended': { level: 'debug', sentence: 'a login was ended by its owner' },
  'token.reused': { level: 'warn', sentence: 'a refresh token came back after its use; its login is ended' },
  'history.read': { level: 'debug', sentence: 'a history was read' },
  'audit.read': { level: 'info', sentence: 'the audit trail was read' },
  'account.created': { level: 'info', sentence: 'an account was made' },
  'account.password': { level: 'info', sentence: 'a password was changed' },
  'account.deleted': { level: 'info', sentence: 'an account was deleted' },
  'store.exported': { level: 'info', sentence: 'the store was exported' },
  'store.imported': { level: 'info', sentence: 'the store was imported' },
} as const satisfies Record<Action, Entry>

type Deps = Readonly<{ counters: Counters; logger: Logger; audit: Readonly<{ add(row: AuditRow): void }> }>

export function createEvents({ counters, logger, audit }: Deps): Events {
  return {
    record(happening) {
      const { action, ...fields } = happening
      const { level, sentence, counter }: Entry = table[action]
      if (counter !== undefined) counters[counter]++
      logger[level]({ event: action, ...fields }, sentence)
      audit.add(toAuditRow(happening))
    },
  }
}

/** For a process that has no trail to write behind: the command line. */
export function toAuditRow(happening: Happening): AuditRow {
  const { action, border, account = null, name = null, address = null, target = null, detail = {} } = happening
  return { id: createUuid(), at: Date.now(), action, border, account, name, address: address || null, target, detail }
}
