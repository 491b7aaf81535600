// npm run bench: ClearBox and its peers in turns, then the tables.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BrokerUnderTest } from './brokers/broker.ts'
import { type BrokerName, brokerTitles } from './brokers/broker-name.ts'
import { prepareBroker } from './brokers/prepare.ts'
import { pinGenerator } from './cpu.ts'
import { machineFacts } from './machine.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { type Heading, toMarkdown, toText } from './report.ts'
import { type Run, toSections } from './results.ts'
import { scenarios } from './scenarios/all.ts'
import type { Scenario } from './scenarios/scenario.ts'

type Brokers = ReadonlyMap<BrokerName, BrokerUnderTest>

const reportFile = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url))

async function bench(options: Options): Promise<void> {
  const chosen = chooseScenarios(options)
  pinGenerator()
  const brokers = new Map<BrokerName, BrokerUnderTest>()
  try {
    for (const name of new Set(chosen.flatMap((scenario) => participants(scenario, options)))) {
      brokers.set(name, await prepareBroker[name](options))
    }
    const { runs, failed } = await runAll(chosen, brokers, options)
    report(chosen, runs, { ...options, write: options.write && !failed }, heading(brokers, options))
    if (failed) throw new Error('not every run came to its end, so the report was not written')
  } finally {
    for (const broker of brokers.values()) broker.remove()
  }
}

/** @throws Error for a name that is none */
function chooseScenarios({ only, broker }: Options): readonly Scenario[] {
  const unknown = only.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined) throw new Error(`there is no scenario "${unknown}"`)
  const named = only.length === 0 ? scenarios : scenarios.filter(({ name }) => only.includes(name))
  return named.filter((scenario) => participants(scenario, { broker }).length > 0)
}

function participants({ peers }: Scenario, { broker }: Pick<Options, 'broker'>): BrokerName[] {
  const all: BrokerName[] = ['clearbox', ...peers]
  return broker === null ? all : all.filter((name) => name === broker)
}

/** All brokers in turns within each scenario, so that a machine which changes its pace meets all. */
async function runAll(
  chosen: readonly Scenario[],
  brokers: Brokers,
  options: Options,
): Promise<{ runs: readonly Run[]; failed: boolean }> {
  const runs: Run[] = []
  let failed = false
  for (let round = 1; round <= options.rounds; round++) {
    for (const scenario of chosen) {
      const names = participants(scenario, options)
      for (const name of round % 2 === 1 ? names : names.toReversed()) {
        const broker = brokers.get(name)
        if (broker === undefined) throw new Error(`${name} was not prepared`)
        const title = `round ${round}/${options.rounds}: ${scenario.name}, ${name}`
        process.stderr.write(`${title}\n`)
        const figures = await runOne(scenario, broker, options.seconds)
        if (figures instanceof Error) {
          failed = true
          process.stderr.write(`${title} failed: ${figures.message}\n`)
        } else runs.push({ round, scenario: scenario.name, broker: name, figures })
      }
    }
  }
  return { runs, failed }
}

/** Against a fresh process of the broker. One run that fails does not cost the figures of the others. */
async function runOne(scenario: Scenario, broker: BrokerUnderTest, seconds: number): Promise<Run['figures'] | Error> {
  try {
    const running = await broker.start()
    try {
      return await scenario.run(running, seconds)
    } finally {
      await running.stop()
    }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function heading(brokers: Brokers, { rounds, seconds, remark }: Options): Heading {
  const command = `npm run bench -- --rounds ${rounds} --seconds ${seconds}`
  const versions = [...brokers.values()].map(({ name, version }) => `${brokerTitles[name]} ${version}`)
  return {
    date: new Date().toISOString().slice(0, 10),
    command,
    rounds,
    seconds,
    facts: machineFacts(versions),
    remark,
  }
}

function report(chosen: readonly Scenario[], runs: readonly Run[], options: Options, heading: Heading): void {
  const sections = toSections(chosen, runs)
  process.stdout.write(`${heading.facts.join('\n')}\n\n${sections.map(toText).join('\n')}`)
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify({ ...heading, runs }, null, 2)}\n`)
  if (!options.write) return
  const old = existsSync(reportFile) ? readFileSync(reportFile, 'utf8') : ''
  writeFileSync(reportFile, toMarkdown(sections, heading, old))
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
try {
  const args = process.argv.slice(2)
  if (args.includes('--help')) process.stdout.write(`${usage}\n`)
  else await bench(parseOptions(args))
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
