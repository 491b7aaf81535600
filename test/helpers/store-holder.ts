// A process that opens the store of the data folder in its first argument, tells how that went in one line, and stays.
import { StoreStartError } from '../../storage/start-error.ts'
import { openEmbeddedStore } from './store.ts'

const [dataDir = '', purpose] = process.argv.slice(2)
try {
  const store = await openEmbeddedStore(dataDir, purpose === 'tool' ? 'tool' : 'broker')
  process.on('SIGTERM', () => void store.close().then(() => process.exit(0)))
  process.stdout.write('open\n')
} catch (error) {
  process.stdout.write(error instanceof StoreStartError ? `refused: ${error.message}\n` : `fault: ${String(error)}\n`)
}
