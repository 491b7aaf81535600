import { type Command, Option } from 'commander'
import { readConfig } from '../read-config.ts'
import { configOption, passwordOption } from './options.ts'

type Options = { config?: string; passwordStdin?: boolean; role: 'admin' | 'user'; json?: boolean; yes?: boolean }

export function addUserCommands(program: Command): void {
  const user = program.command('user').description('accounts; works whether or not the server runs')
  const named = (name: string, description: string) =>
    user.command(name).description(description).argument('<name>', 'alice, or alice@domain').addOption(configOption())
  named('add', 'make an account; asks for the password')
    .addOption(passwordOption())
    .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'user']).default('user'))
    .action(async (name: string, options: Options) => {
      const { addUser } = await import('../user.ts')
      await addUser(readConfig(options.config), { name, ...options })
    })
  named('passwd', 'change the password of an account; ends its connections')
    .addOption(passwordOption())
    .action(async (name: string, options: Options) => {
      const { changePassword } = await import('../user.ts')
      await changePassword(readConfig(options.config), { name, ...options })
    })
  named('delete', 'delete an account and what it has; ends its connections')
    .option('-y, --yes', 'without asking')
    .action(async (name: string, options: Options) => {
      const { deleteUser } = await import('../user-delete.ts')
      await deleteUser(readConfig(options.config), { name, ...options })
    })
  user
    .command('list')
    .description('show the accounts')
    .option('--json', 'as a JSON array')
    .addOption(configOption())
    .action(async (options: Options) => {
      const { listUsers } = await import('../user-list.ts')
      await listUsers(readConfig(options.config), options)
    })
}
