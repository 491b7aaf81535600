// aedes as its own examples run it, with password login and the hooks for permissions. Everything in memory.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { accepts, type BrokerUnderTest, freePort, logins, singleProcess, startProcess, untilReady } from './broker.ts'

const program = fileURLToPath(new URL('./aedes-server.js', import.meta.url))
const { PATH = '' } = process.env

export function prepareAedes(): BrokerUnderTest {
  const folder = mkdtempSync(join(tmpdir(), 'bench-aedes-'))
  const passwords = join(folder, 'passwords.json')
  writeFileSync(passwords, JSON.stringify(logins))
  return {
    name: 'aedes',
    version: installedVersion(),
    async start() {
      const port = await freePort()
      const broker = await startProcess(process.execPath, [program, String(port), passwords], { PATH })
      await untilReady(broker, () => accepts(port))
      return singleProcess('aedes', broker, { mqtt: port })
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function installedVersion(): string {
  const main = createRequire(import.meta.url).resolve('aedes')
  const manifest: unknown = JSON.parse(readFileSync(join(dirname(main), 'package.json'), 'utf8'))
  return z.object({ version: z.string() }).parse(manifest).version
}
