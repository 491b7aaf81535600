import type { Command } from 'commander'
import { readConfig } from '../read-config.ts'
import { configOption } from './options.ts'

type Options = Readonly<{ config?: string; defaults?: boolean }>

export function addConfigCommands(program: Command): void {
  program
    .command('check-config')
    .description('say what is wrong with the settings, and start nothing')
    .addOption(configOption())
    .action(async ({ config }: Options) => {
      const { checkConfig } = await import('../config.ts')
      checkConfig(readConfig(config))
    })
  program
    .command('config')
    .description('show the settings that are in force, as a file')
    .option('--defaults', 'every setting with its default instead')
    .addOption(configOption())
    .action(async ({ config, defaults }: Options) => {
      const { showConfig, showDefaults } = await import('../config.ts')
      if (defaults) showDefaults()
      else showConfig(readConfig(config))
    })
}
