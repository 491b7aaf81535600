// The scenarios in the order of the report.
import { fanOut } from './fan-out.ts'
import { frozen } from './frozen.ts'
import { idle } from './idle.ts'
import { offline } from './offline.ts'
import { p2p } from './p2p.ts'
import { paced } from './paced.ts'
import type { Scenario } from './scenario.ts'

export const scenarios: readonly Scenario[] = [
  p2p(0, { of: 'ratio', limit: 0.3 }),
  p2p(1, { of: 'ratio', limit: 0.4 }),
  fanOut,
  paced,
  offline,
  idle,
  frozen('qos0'),
  frozen('qos1'),
  frozen('kept'),
]
