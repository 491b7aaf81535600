// kill -9 under load, round after round: npx tsx scripts/kill9.ts [ROUNDS]
import { createBench } from '../test/helpers/load-round.ts'

const rounds = Number(process.argv[2] ?? 20)
const bench = await createBench()
try {
  for (let i = 1; i <= rounds; i++) {
    const report = await bench.round(i % 2 === 0 ? 'broker and database' : 'broker')
    console.log(`${i}/${rounds}`, JSON.stringify(report))
  }
  console.log(`${rounds} rounds: nothing acknowledged was lost or repeated`)
} finally {
  await bench.dispose()
}
process.exit()
