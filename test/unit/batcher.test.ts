// One batch in flight; what arrives meanwhile is the next one.
import { expect, it } from 'vitest'
import { createBatcher } from '../../broker/batcher.ts'
import { createLogger } from '../../broker/log.ts'
import { TransientStoreError } from '../../broker/stores.ts'

type Options = Partial<Parameters<typeof createBatcher<number>>[0]>

function create(options: Options = {}) {
  const batches: number[][] = []
  const failed: (readonly number[])[] = []
  const batcher = createBatcher<number>({
    name: 'test',
    maxItems: 3,
    maxBytes: 100,
    logger: createLogger('silent'),
    commit: async (batch) => void batches.push([...batch]),
    fail: (batch) => void failed.push(batch),
    ...options,
  })
  return { batcher, batches, failed }
}

it('puts the arrivals of one turn into one batch, in order, at most so many and so large', async () => {
  const { batcher, batches } = create()
  for (let i = 0; i < 5; i++) batcher.add(i, 1)
  batcher.add(5, 200)
  batcher.add(6, 1)
  await batcher.drained()
  expect(batches).toEqual([[0, 1, 2], [3, 4], [5], [6]])
  expect(batcher.waitingBytes()).toBe(0)
  expect(batcher.waitingMs()).toBe(0)
})

it('never has two batches in flight', async () => {
  let [running, most] = [0, 0]
  const { batcher } = create({
    async commit() {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      running--
    },
  })
  for (let i = 0; i < 20; i++) {
    batcher.add(i, 1)
    await new Promise(setImmediate)
  }
  await batcher.drained()
  expect(most).toBe(1)
})

it('repeats a batch that met passing trouble as it is, and what came meanwhile goes behind it', async () => {
  let tries = 0
  const seen: number[][] = []
  const { batcher, failed } = create({
    async commit(batch) {
      seen.push([...batch])
      if (++tries < 3) throw new TransientStoreError('away')
    },
  })
  batcher.add(1, 1)
  await new Promise(setImmediate)
  batcher.add(2, 1)
  expect(batcher.waitingBytes()).toBe(2)
  await batcher.drained()
  expect(seen).toEqual([[1], [1], [1], [2]])
  expect(failed).toEqual([])
})

it('gives up a batch that can never be stored, and goes on with the next', async () => {
  const stored: number[][] = []
  const { batcher, failed } = create({
    async commit(batch) {
      if (batch.includes(1)) throw new Error('never')
      stored.push([...batch])
    },
  })
  batcher.add(1, 1)
  await new Promise(setImmediate)
  batcher.add(2, 1)
  await batcher.drained()
  expect(failed).toEqual([[1]])
  expect(stored).toEqual([[2]])
})
