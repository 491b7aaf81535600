// Arrays as binary parameters: the server reads what was written.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bigintArray,
  booleanArray,
  byteaArray,
  integerArray,
  smallintArray,
  textArray,
  uuidArray,
} from '../../storage/binary-array.ts'
import { type StoreUnderTest, storeKinds } from '../helpers/store.ts'

const texts = ['', 'a', 'häuser "x" \\ {,} NULL', '\u{1f600}', 'x'.repeat(70_000), 'NULL']
const bytes = [Buffer.alloc(0), Buffer.from([0, 255, 92]), Buffer.alloc(70_000, 7)]
const whole = [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 32 - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
const ids = ['0197f3a0-0000-7000-8000-00000000ffff', 'ffffffff-ffff-ffff-ffff-ffffffffffff']

describe.each(storeKinds)('binary arrays on $name', ({ create }) => {
  let db: StoreUnderTest
  beforeAll(async () => {
    db = await create()
  })
  afterAll(() => db.close())

  it.each([
    ['bigint', bigintArray([...whole, null]), [...whole.map(String), null]],
    ['bigint', bigintArray([]), []],
    ['integer', integerArray([0, -1, 2 ** 31 - 1, -(2 ** 31)]), ['0', '-1', '2147483647', '-2147483648']],
    ['smallint', smallintArray([0, 2, -32_768]), ['0', '2', '-32768']],
    ['boolean', booleanArray([true, false]), ['true', 'false']],
    ['bytea', byteaArray([...bytes, null]), [...bytes.map((one) => `\\x${one.toString('hex')}`), null]],
    ['text', textArray([null, ...texts, null]), [null, ...texts, null]],
    ['text', textArray([]), []],
    ['uuid', uuidArray(ids), ids],
  ])('of %s come as they were', async (type, array, expected) => {
    const rows = await db.sql<{ v: string | null }>(
      `SELECT v::text AS v FROM unnest($1::${type}[]) WITH ORDINALITY AS u(v, n) ORDER BY n`,
      [array],
    )
    expect(rows.map(({ v }) => v)).toEqual(expected)
  })
})
