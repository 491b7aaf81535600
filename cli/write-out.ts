import { once } from 'node:events'

/** To standard output, no faster than it is read. Who reads no more, such as `head`, has had enough: the rest goes nowhere. */
export async function writeOut(text: string): Promise<void> {
  const { stdout } = process
  if (stdout.listenerCount('error') === 0) stdout.on('error', ignoreBrokenPipe)
  if (!stdout.writable || stdout.write(text)) return
  await once(stdout, 'drain').catch(ignoreBrokenPipe)
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
