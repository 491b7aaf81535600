#!/usr/bin/env node
// Runs the built command line; the sources are TypeScript.
import { existsSync } from 'node:fs'

const entry = new URL('../dist/cli/index.js', import.meta.url)
if (existsSync(entry)) {
  await import(entry.href)
} else {
  console.error('clearbox is not built yet. Run: npm run build')
  process.exitCode = 1
}
