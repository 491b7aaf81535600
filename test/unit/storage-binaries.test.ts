// The links that the package's install script makes, where scripts were not run.
import { mkdir, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { makeLinks } from '../../storage/embedded/binaries.ts'
import { StoreStartError } from '../../storage/start-error.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/store.ts'

const LISTED = [
  { source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' },
  { source: 'native/lib/libx.so.1.2', target: 'native/lib/sub/libx.so' },
]

describe('links of the packaged libraries', () => {
  let folder: ScratchFolder | null = null
  afterEach(() => folder?.remove())

  async function makePackage(...folders: string[]): Promise<string> {
    folder = await scratchFolder()
    for (const path of folders) await mkdir(join(folder.path, path), { recursive: true })
    await writeFile(join(folder.path, 'native/pg-symlinks.json'), JSON.stringify([...LISTED, 'odd', null]))
    return folder.path
  }

  it('are made at the first start, relative, and left alone afterwards', async () => {
    const root = await makePackage('native/lib/sub')
    await symlink('elsewhere', join(root, 'native/lib/libx.so.1'))
    await makeLinks(root)
    await makeLinks(root)
    expect(await readlink(join(root, 'native/lib/libx.so.1'))).toBe('elsewhere')
    expect(await readlink(join(root, 'native/lib/sub/libx.so'))).toBe('../libx.so.1.2')
  })

  it('name the way out where the folder cannot be written', async () => {
    const root = await makePackage('native')
    await writeFile(join(root, 'native/lib'), 'not a folder')
    const fault = await makeLinks(root).catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(StoreStartError)
    expect(String(fault)).toMatch(/is not writable.*npm rebuild/)
  })

  it('are not needed where none are listed', async () => {
    folder = await scratchFolder()
    await expect(makeLinks(folder.path)).resolves.toBeUndefined()
  })
})
