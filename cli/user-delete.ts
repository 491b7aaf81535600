import { toAccountName } from '../broker/account-name.ts'
import type { AccountStore } from '../broker/stores.ts'
import { audit } from './audit.ts'
import { CliError } from './cli-error.ts'
import { confirm } from './confirm.ts'
import type { ReadConfig } from './read-config.ts'
import { withStore } from './with-store.ts'

const pageSize = 500

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
    if (await isOnlyAdmin(store.accounts, name)) {
      throw new CliError(
        `${address} is the only administrator. Make another first: clearbox user add NAME --role admin`,
      )
    }
    if (!(await store.accounts.remove(name))) throw new CliError(`There is no account ${address}.`)
    await audit(store.audit, 'account.deleted', name)
    process.stdout.write(`Deleted the account ${address}; its connections end.\n`)
  })
}

async function isOnlyAdmin(accounts: AccountStore, name: string): Promise<boolean> {
  if ((await accounts.byName(name))?.role !== 'admin') return false
  for (let after = '', full = true; full; ) {
    const page = await accounts.list(after, pageSize)
    if (page.some((other) => other.role === 'admin' && other.name !== name)) return false
    after = page.at(-1)?.name ?? ''
    full = page.length === pageSize
  }
  return true
}
