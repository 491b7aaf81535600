// `kill -9` under load (three rounds; scripts/kill9.ts runs more).
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Bench, createBench } from '../helpers/load-round.ts'

let bench: Bench
beforeAll(async () => {
  bench = await createBench()
})
afterAll(() => bench.dispose())

for (const victims of ['broker', 'broker and database', 'broker'] as const) {
  it(`kill -9 of ${victims} under load loses and repeats nothing that was acknowledged`, async () => {
    const report = await bench.round(victims)
    console.log(JSON.stringify(report))
    expect(report.acknowledged).toBeGreaterThan(200)
  })
}
