// Searching the logs, for borders whose clients page through them.
import type { Directory } from './directory.ts'
import type { MessageLog } from './message-log.ts'
import type { ArchiveQueryStore } from './stores.ts'
import type { Archive } from './types.ts'

type Deps = Readonly<{
  queries: ArchiveQueryStore
  log: Pick<MessageLog, 'head' | 'toEntry'>
  directory: Pick<Directory, 'lookupPeer'>
}>

export function createArchive({ queries, log, directory }: Deps): Archive {
  return {
    seqsOf: queries.seqsOf,
    seqsAt: queries.seqsAt,
    count: queries.count,
    head: log.head,
    lookUp: directory.lookupPeer,
    async page(owner, query) {
      const { rows, hasMore } = await queries.page(owner, query)
      const entries = rows.map(log.toEntry)
      return { entries: query.order === 'oldest' ? entries : entries.reverse(), hasMore }
    },
  }
}
