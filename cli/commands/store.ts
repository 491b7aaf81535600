import type { Command } from 'commander'
import { readConfig } from '../read-config.ts'
import { configOption } from './options.ts'

type Options = Readonly<{ config?: string }>

export function addStoreCommands(program: Command): void {
  program
    .command('export')
    .description('write all that the store has to a file; a server may run meanwhile')
    .argument('<file>', 'must not exist; - is standard output')
    .addOption(configOption())
    .action(async (file: string, options: Options) => {
      const { exportStore } = await import('../transfer.ts')
      await exportStore(readConfig(options.config), file)
    })
  program
    .command('import')
    .description('fill an empty store with what `export` wrote')
    .argument('<file>', '- is standard input')
    .addOption(configOption())
    .action(async (file: string, options: Options) => {
      const { importStore } = await import('../transfer.ts')
      await importStore(readConfig(options.config), file)
    })
}
