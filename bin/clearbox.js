#!/usr/bin/env node
// Runs the built command line; the sources are TypeScript.
import { existsSync } from 'node:fs'

const entry = new URL('../dist/cli/run.js', import.meta.url)
if (existsSync(entry)) {
  const { run } = await import(entry.href)
  process.exitCode = await run(process.argv.slice(2))
} else {
  console.error('clearbox is not built yet. Run: npm run build')
  process.exitCode = 1
}
