// Builds dist/ when a source is newer than the last build; `npm start` calls it, so that a checkout always runs its own code.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'dist', '.built')
const sources = [
  'broker',
  'adapters',
  'bridge',
  'storage',
  'cli',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
]

/** @param {string} path @returns {number} milliseconds */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0
if (Math.max(...sources.map((source) => newest(join(root, source)))) > builtAt) {
  // Beside its place and then put there, so that no half-made build is ever run and a failed one takes nothing away.
  const building = join(root, 'node_modules', '.cache', `dist-${process.pid}`)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  // Written first: what changes while it is being built is newer.
  mkdirSync(building, { recursive: true })
  writeFileSync(join(building, '.built'), '')
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', building]
  if (spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0) {
    rmSync(building, { recursive: true, force: true })
    process.exit(1)
  }
  cpSync(join(root, 'storage', 'migrations'), join(building, 'storage', 'migrations'), { recursive: true })
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  renameSync(building, join(root, 'dist'))
}
