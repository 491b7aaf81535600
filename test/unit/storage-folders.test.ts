import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openFolders } from '../../storage/embedded/folders.ts'
import { StoreStartError } from '../../storage/start-error.ts'
import { scratchFolder } from '../helpers/store.ts'

it('makes the data folder with its parents, and leaves one that is there', async () => {
  const scratch = await scratchFolder()
  const path = join(scratch.path, 'a', 'b', 'data')
  expect((await openFolders(path)).data).toContain(join('a', 'b', 'data'))
  expect(existsSync(path)).toBe(true)
  await openFolders(path)
  await scratch.remove()
})

it('refuses a place where no folder can be made', async () => {
  for (const path of ['/proc/no-such-place', '/dev/null/data']) {
    await expect(openFolders(path)).rejects.toThrow(StoreStartError)
  }
})
