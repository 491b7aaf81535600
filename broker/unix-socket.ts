// Listening at a path (unix(7)); Node removes the file when the server closes.
import { once } from 'node:events'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'

type Options = Readonly<{ path: string; mode: number; backlog: number }>

/** What a broker that was killed has left there is removed; nothing else ever is. @throws Error fit for a person */
export async function listenAtPath(server: Server, { path, mode, backlog }: Options): Promise<void> {
  const refuse = (why: string, cause?: unknown) => new Error(`cannot listen at ${path}: ${why}`, { cause })
  const codeOf = (fault: unknown) => String((fault as NodeJS.ErrnoException).code)
  try {
    const found = await lstat(path).catch((fault: unknown) => {
      if (codeOf(fault) === 'ENOENT') return null
      throw fault
    })
    if (found?.isSocket() === false) throw refuse('there is a file that is no socket')
    if (found) {
      if (await isServed(path)) throw refuse('another program listens there already')
      await unlink(path)
    }
    listenFor(server, { path, mode, backlog })
    await once(server, 'listening')
    await chmod(path, mode)
  } catch (fault) {
    throw codeOf(fault) === 'undefined' ? fault : refuse(codeOf(fault), fault)
  }
}

/** Nobody else can connect in the moment before `chmod`. */
function listenFor(server: Server, { path, mode, backlog }: Options): void {
  const before = process.umask(0o777 & ~mode)
  server.listen({ path, backlog })
  process.umask(before)
}

/** @throws what `connect` says when it is not known */
async function isServed(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw fault
  } finally {
    socket.destroy()
  }
}
