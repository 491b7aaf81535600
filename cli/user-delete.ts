import { toAccountName } from '../broker/account-name.ts'
import { audit } from './audit.ts'
import { CliError } from './cli-error.ts'
import { confirm } from './confirm.ts'
import type { ReadConfig } from './read-config.ts'
import { withStore } from './with-store.ts'

/** A running server ends its connections within a second. */
export async function deleteUser(read: ReadConfig, request: Readonly<{ name: string; yes?: boolean }>): Promise<void> {
  const { domain } = read.config
  const name = toAccountName(request.name, domain)
  if (name === null) throw new CliError(`${JSON.stringify(request.name)} cannot be an account of ${domain}.`, 2)
  const address = `${name}@${domain}`
  if (request.yes !== true) {
    await confirm(
      `Delete ${address}, its history, sessions and contacts? What others have of it stays with them, and its name is not given out again.`,
    )
  }
  await withStore(read, async (store) => {
    if (!(await store.accounts.remove(name))) throw new CliError(`There is no account ${address}.`)
    await audit(store.audit, 'account.deleted', name)
    process.stdout.write(`Deleted the account ${address}; its connections end.\n`)
  })
}
