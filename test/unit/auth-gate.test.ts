import { expect, test } from 'vitest'
import { createGate } from '../../broker/auth/gate.ts'

function deferred() {
  let resolve = (): void => undefined
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

test('tasks wait for their turn in order, and beyond the places they are refused with overload at once', async () => {
  const gate = createGate({ running: 2, waiting: 2 })
  const started: number[] = []
  const locks = [deferred(), deferred(), deferred(), deferred()]
  const tasks = locks.map((lock, index) =>
    gate(async () => {
      started.push(index)
      await lock.promise
      return index
    }),
  )
  expect(started).toEqual([0, 1])
  await expect(gate(async () => 4)).rejects.toMatchObject({ code: 'overload' })
  locks[1]?.resolve()
  await tasks[1]
  await Promise.resolve()
  expect(started).toEqual([0, 1, 2])
  for (const lock of locks) lock.resolve()
  expect(await Promise.all(tasks)).toEqual([0, 1, 2, 3])
})

test('a task that fails gives its place to the next', async () => {
  const gate = createGate({ running: 1, waiting: 1 })
  const failing = gate(() => Promise.reject(new Error('no')))
  const next = gate(async () => 'yes')
  await expect(failing).rejects.toThrow('no')
  expect(await next).toBe('yes')
  expect(await gate(async () => 'still')).toBe('still')
})
