// The command line: what it takes, and the exit code that each end has.
import { Command, CommanderError } from 'commander'
import { readVersion } from '../broker/version.ts'
import { StoreStartError } from '../storage/start-error.ts'
import { CliError } from './cli-error.ts'
import { addConfigCommands } from './commands/config.ts'
import { configOption } from './commands/options.ts'
import { addStoreCommands } from './commands/store.ts'
import { addUserCommands } from './commands/user.ts'
import { readConfig } from './read-config.ts'

/** 0: done; 1: it did not work; 2: it was not called as it must be. Never throws what a person can do something about. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = createProgram((code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof CliError || error instanceof StoreStartError) {
    process.stderr.write(`${error.message}\n`)
    return error instanceof CliError ? error.exitCode : 1
  }
  throw error
}

// Each action loads what it needs: `clearbox version` need not wait for the whole server.
function createProgram(end: (exitCode: number) => void): Command {
  const program = new Command('clearbox')
    .description('One messaging broker for MQTT, XMPP and HTTP.')
    .version(readVersion(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .showHelpAfterError('(clearbox --help shows what there is)')
  program
    .command('start')
    .description('start the server; Ctrl-C stops it')
    .addOption(configOption())
    .action(async (options: Readonly<{ config?: string }>) => {
      const { start } = await import('./start.ts')
      end(await start(readConfig(options.config), options.config ?? null))
    })

  addConfigCommands(program)
  addUserCommands(program)
  addStoreCommands(program)
  program
    .command('version')
    .description('show the version')
    .action(() => void process.stdout.write(`${readVersion()}\n`))
  return program
}
