// Numbered changes per subject: what other processes did.
import type { Change, ChangeStore } from '../../broker/stores.ts'
import type { Connection, Statement } from '../postgres.ts'

const LAST: Statement = { name: 'changes-last', text: 'SELECT last FROM subjects WHERE name = $1' }
const SINCE: Statement = {
  name: 'changes-since',
  text: 'SELECT n, detail FROM changes WHERE subject = $1 AND n > $2 ORDER BY n',
}

export function createChangeStore(db: Connection): ChangeStore {
  return {
    async last(subject) {
      const [row] = await db.query<{ last: number }>(LAST, [subject])
      return row?.last ?? 0
    },
    since: (subject, n) => db.query<Change>(SINCE, [subject, n]),
  }
}
