// The scenarios in the order of the report.
import { chat } from './chat.ts'
import { churn, others } from './crowded.ts'
import { fanIn } from './fan-in.ts'
import { fanOut } from './fan-out.ts'
import { frozen } from './frozen.ts'
import { httpMessages } from './http-messages.ts'
import { idle } from './idle.ts'
import { mqtt5 } from './mqtt5.ts'
import { offline } from './offline.ts'
import { p2p } from './p2p.ts'
import { paced } from './paced.ts'
import { retained } from './retained.ts'
import type { Scenario } from './scenario.ts'

export const scenarios: readonly Scenario[] = [
  p2p({ name: 'p2p-qos0', qos: 0, limit: 0.2 }),
  p2p({ name: 'p2p-qos1', qos: 1, limit: 0.25 }),
  p2p({ name: 'p2p-qos2', qos: 2, limit: 0.35 }),
  p2p({ name: 'p2p-1k-qos0', qos: 0, bytes: 1024, limit: 0.3 }),
  p2p({ name: 'p2p-1k-qos1', qos: 1, bytes: 1024, limit: 0.3 }),
  p2p({ name: 'p2p-window1-qos0', qos: 0, window: 1, limit: 1.2 }),
  p2p({ name: 'p2p-window1-qos1', qos: 1, window: 1, limit: 1.4 }),
  p2p({ name: 'persistent', qos: 1, persistent: true, limit: 0.6 }),
  paced({ name: 'paced-qos0', qos: 0, perSecond: 5000, limit: 1.5 }),
  paced({ name: 'paced-qos1', qos: 1, perSecond: 5000, limit: 1.7 }),
  paced({ name: 'paced-20k', qos: 0, perSecond: 20_000, limit: 1.4 }),
  fanOut(0, 0.3),
  fanOut(1, 0.5),
  fanIn(0, 0.25),
  fanIn(1, 0.3),
  offline,
  retained,
  others,
  churn,
  mqtt5,
  idle,
  frozen('qos0'),
  frozen('qos1'),
  frozen('kept'),
  chat,
  httpMessages,
]
