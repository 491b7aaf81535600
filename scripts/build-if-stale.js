// Builds dist/ when a source is newer than the last build; `npm start` calls it, so that a checkout always runs its own code.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'dist', '.built')
const sources = ['broker', 'adapters', 'bridge', 'storage', 'cli', 'package.json', 'tsconfig.json', 'tsconfig.build.json']

/** @param {string} path @returns {number} milliseconds */
function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0
if (Math.max(...sources.map((source) => newest(join(root, source)))) > builtAt) {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' })
  cpSync(join(root, 'storage', 'migrations'), join(root, 'dist', 'storage', 'migrations'), { recursive: true })
  writeFileSync(stamp, '')
}
