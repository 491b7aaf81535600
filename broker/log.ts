// Loggers by subsystem. No secret and no message body is ever logged.
import { destination, type Logger, pino } from 'pino'
import type { LogLevel } from './config.ts'

export type { Logger }

/** JSON lines on standard error, written at once; `child({ area })` names the subsystem. */
export function createLogger(level: LogLevel): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination({ fd: 2, sync: true }))
}
