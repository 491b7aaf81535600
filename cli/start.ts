import { createLogger, type Logger } from '../broker/log.ts'
import { startBroker } from '../broker/main.ts'
import { readVersion } from '../broker/version.ts'
import { StoreStartError } from '../storage/start-error.ts'
import { toBanner } from './banner.ts'
import { CliError } from './cli-error.ts'
import { onHangUp } from './hang-up.ts'
import type { ReadConfig } from './read-config.ts'
import { reloadAcl } from './reload-acl.ts'

/** Runs the server until a signal; answers the exit code. */
export async function start({ config, warnings }: ReadConfig, configFile: string | null): Promise<number> {
  const logger = createLogger(config.log.level)
  for (const warning of warnings) logger.warn(warning)
  exitOnFaults(logger)
  const signal = onFirstSignal(logger)
  const broker = await startBroker({ config, logger }).catch((fault: unknown) => explain(fault, logger))
  const { listening, adminPassword } = broker
  const version = readVersion()
  logger.info({ version, domain: config.domain, listening }, 'ready')
  process.stdout.write(toBanner({ version, domain: config.domain, listening, adminPassword, configFile }))
  onHangUp(() => reloadAcl({ configFile, running: config, broker, logger }))
  await signal
  await broker.stop()
  logger.info('stopped')
  return 0
}

const addressFaults: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'the system does not allow it (ports below 1024 need a privilege)',
}

/** @throws what `run` shows to the person; where that is less than we know, the log has the rest */
function explain(fault: unknown, logger: Logger): never {
  if (fault instanceof StoreStartError) throw fault
  const { code = '', address, port } = fault as { code?: string; address?: string; port?: number }
  const reason = addressFaults[code]
  if (reason !== undefined && port !== undefined)
    throw new CliError(`Cannot listen on ${address} port ${port}: ${reason}.`)
  logger.fatal({ err: fault }, 'the start failed')
  throw new CliError(`ClearBox cannot start: ${fault instanceof Error ? fault.message : String(fault)}`)
}

/** A second signal does not wait for anything. */
function onFirstSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false
    const onSignal = (name: NodeJS.Signals) => {
      if (isStopping) {
        logger.warn({ signal: name }, 'exiting at once')
        process.exit(1)
      }
      isStopping = true
      logger.info({ signal: name }, 'stopping')
      resolve()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

/** What nobody caught leaves the process in a state that nobody knows; what is durable survives the exit. */
function exitOnFaults(logger: Logger): void {
  process.on('uncaughtException', (err, origin) => {
    logger.fatal({ err, origin }, 'uncaught fault')
    process.exit(1)
  })
}
