// A file system so small that it can be filled: a real one, in memory.
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../storage/embedded/run.ts'
import { scratchFolder } from './scratch-folder.ts'

export type SmallDisk = Readonly<{
  path: string
  /** Takes all space that is left. Again: what has become free since. */
  fill: () => Promise<void>
  /** Gives back what `fill` took. */
  free: () => Promise<void>
  remove: () => Promise<void>
}>

/** Null: this process may not mount; then `mountHint` says what is needed. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | null> {
  const scratch = await scratchFolder()
  const path = join(scratch.path, 'disk')
  await mkdir(path)
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=711`, 'tmpfs', path])
  if (mounted.status !== 0) {
    await scratch.remove()
    return null
  }
  const ballast = join(path, 'ballast')
  return {
    path,
    async fill() {
      const file = await open(ballast, 'a')
      try {
        for (const size of [1 << 20, 1 << 12]) await writeUntilFull(file, Buffer.alloc(size))
      } finally {
        await file.close()
      }
    },
    free: () => rm(ballast, { force: true }),
    async remove() {
      await run('umount', ['-l', path])
      await scratch.remove()
    },
  }
}

export const mountHint = 'a full disk is tested as root (or with CAP_SYS_ADMIN), which may mount a small tmpfs'

async function writeUntilFull(file: FileHandle, chunk: Buffer): Promise<void> {
  for (;;) {
    try {
      const { bytesWritten } = await file.write(chunk)
      if (bytesWritten < chunk.length) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw error
    }
  }
}
