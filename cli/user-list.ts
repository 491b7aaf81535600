import type { AccountStore, ListedAccount } from '../broker/stores.ts'
import type { ReadConfig } from './read-config.ts'
import { withStore } from './with-store.ts'
import { writeOut } from './write-out.ts'

const pageSize = 1000

/** By name. As JSON: one array of `{ name, address, role, plainTopics, createdAt }`. */
export async function listUsers(read: ReadConfig, { json = false }: Readonly<{ json?: boolean }>): Promise<void> {
  const { domain } = read.config
  await withStore(read, async ({ accounts }) => {
    let count = 0
    for await (const page of pages(accounts)) {
      const lines = page.map((account) => (json ? toJson(account, domain) : toLine(account, domain)))
      const separator = json ? ',\n' : '\n'
      await writeOut((count === 0 ? (json ? '[\n' : '') : separator) + lines.join(separator))
      count += page.length
    }
    if (json) await writeOut(count === 0 ? '[]\n' : '\n]\n')
    else if (count > 0) await writeOut('\n')
  })
}

async function* pages(accounts: Pick<AccountStore, 'list'>): AsyncGenerator<readonly ListedAccount[]> {
  for (let after = ''; ; ) {
    const page = await accounts.list(after, pageSize)
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    after = last.name
  }
}

function toLine({ name, role, plainTopics, createdAt }: ListedAccount, domain: string): string {
  const topics = plainTopics === 'all' ? 'all topics' : 'no topics'
  return `${`${name}@${domain}`.padEnd(40)} ${role.padEnd(10)} ${topics.padEnd(10)} since ${toDate(createdAt).slice(0, 10)}`
}

function toJson({ name, role, plainTopics, createdAt }: ListedAccount, domain: string): string {
  return JSON.stringify({ name, address: `${name}@${domain}`, role, plainTopics, createdAt: toDate(createdAt) })
}

const toDate = (at: number) => new Date(at).toISOString()
